"""Gives an LLM values of NumPy, pandas and datasets, and stores its answers in them: run by test_datasets.py.

    python -m tests.slow.foreign

Prints one JSON object; each name of it is what one assertion of the test is about.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from datasets import Dataset

from runner import LLM
from runner.errors import ConfigError
from tests.http_server import HttpServer
from tests.llm.values_server import endpoints
from tests.work.work_kit import CHAT, Echo

TEXTS = ["a", "bc"]
COLUMNS: dict[str, Any] = {
    "numpy": np.array(TEXTS),
    "object": np.array(TEXTS, dtype=object),
    "series": pd.Series(TEXTS, index=[7, 8]),
    "index": pd.Index(TEXTS),
    "datasets": Dataset.from_dict({"text": TEXTS})["text"],
    "arrow": pa.chunked_array([TEXTS]),
}
SAMPLING: dict[str, Any] = {
    "temperature": np.float32(0.7),
    "top_p": np.float64(0.9),
    "max_tokens": np.int64(5),
    "stop": np.array(["x", "y"]),
    "logit_bias": {np.int32(5): np.float16(1.5)},
}
TURN = pd.DataFrame({"role": ["user"], "content": ["hi"]})


def refused(llm: LLM, table: Any) -> str:
    """Return why a table is no column."""
    try:
        llm.batch(table)
    except ConfigError as error:
        return str(error)
    return ""


def llm_of_words() -> LLM:
    """Return a model that knows log probabilities."""
    return LLM("fake:m", cache=False)


def inputs(llm: LLM, pooler: LLM) -> dict[str, Any]:
    """Ask with everything."""
    return {
        "sample": llm.generate_sync("s", sample=np.int64(2)).text,
        "messages": [llm.generate_sync(one).text for one in (TURN, [np.str_("hi")], np.array("hi"))],
        "batches": {k: [r.text for r in llm.batch(v, progress=False)] for k, v in COLUMNS.items()},
        "scores": {k: pooler.score_sync(v) for k, v in COLUMNS.items()},
        "pairs": pooler.score_sync(np.array([["a", "b"], ["a", "bc"]]), progress=False),
        "ranks": {k: pooler.rerank_sync(v.iloc[0] if k == "series" else v[0], v) for k, v in COLUMNS.items()},
        "refused": [refused(llm, one) for one in (TURN, Dataset.from_pandas(TURN))],
        "logprobs": len(llm_of_words().generate_sync("a b", logprobs=np.True_).choices[0].logprobs or ()),
    }


def stored(pooler: LLM) -> dict[str, Any]:
    """Store answers in each library, and return what they have then."""
    rows = Dataset.from_dict({"text": TEXTS})
    vectors = pooler.embed_sync(TEXTS, progress=False)
    mapped = rows.map(
        lambda batch: {"vector": pooler.embed_sync(batch["text"], progress=False)}, batched=True
    )
    single = rows.map(lambda row: {"likely": pooler.loglikelihood_sync(row["text"], ["x"])})
    fake = LLM("fake:m", cache=False)
    responses = rows.map(lambda row: fake.generate_sync(row["text"], logprobs=True).to_dict())
    return {
        "vectors": vectors,
        "mapped": mapped["vector"][:],
        "likely": single["likely"][:],
        "frame": pd.DataFrame({"vector": vectors})["vector"].tolist(),
        "array": np.array(vectors, dtype=np.float32).tolist(),
        "arrow": pa.array(vectors).to_pylist(),
        "tokens": [choices[0]["logprobs"] for choices in responses["choices"]],
    }


def main() -> None:
    """Ask with everything and store every answer."""
    echo = Echo()
    with HttpServer({**endpoints(), CHAT: echo}) as server:
        address = server.url("/v1")
        llm = LLM({"name": "m"}, engine={"kind": "openai_compatible", "base_url": address}, cache=False)
        pooler = LLM({"name": "m"}, engine={"kind": "vllm", "base_url": address}, cache=False)
        told = {**inputs(llm, pooler), **stored(pooler)}
        server.received.clear()
        llm.generate_sync("x", **SAMPLING)
        told["body"] = server.received[-1].json()
        server.received.clear()
        pooler.generate_sync([*np.array(TEXTS), "c"], temperature=np.float32(0.7))
        raw = LLM({"name": "m"}, engine={"kind": "vllm", "base_url": address}, task="complete", cache=False)
        told["turns"] = [turn["content"] for turn in server.received[-1].json()["messages"]]
        raw.generate_sync(np.array([1, 2]), max_tokens=np.int8(1))
        told["ids"] = server.received[-1].json()["prompt"]
    print(json.dumps(told))


if __name__ == "__main__":
    main()
