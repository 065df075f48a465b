"""Maps an LLM over a dataset in four processes, as a user's script does: run by test_datasets.py.

    python -m tests.slow.mapping NUM_PROC

Writes a line to batches.txt for every batch that is really computed, and prints what came out as JSON.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from datasets import Dataset
from datasets.fingerprint import Hasher

from runner import LLM

llm = LLM("tiny", sampling={"temperature": 0, "max_tokens": 8}, cache=False)


def answered(rows: dict[str, list[str]]) -> dict[str, list[str]]:
    """Answer a batch."""
    with Path("batches.txt").open("a") as file:
        file.write(f"{os.getpid()}\n")
    return {"answer": [response.text for response in llm.batch(rows["question"], progress=False)]}


def main() -> None:
    """Map, and look at the hash before and after the LLM was used here."""
    processes = int(sys.argv[1])
    rows: Any = Dataset.from_json("sums.jsonl", cache_dir="cache")
    before = Hasher.hash(llm)
    mapped = rows.map(answered, batched=True, batch_size=5, num_proc=processes)
    used = llm.generate_sync("37+48").text
    told = {
        "answers": mapped["answer"][:],
        "files": sorted(file["filename"] for file in mapped.cache_files),
        "hashes": [before, Hasher.hash(llm), Hasher.hash(LLM("tiny", sampling={"temperature": 1}))],
        "used": used,
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
