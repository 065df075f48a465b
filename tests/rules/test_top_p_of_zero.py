"""What means greedy elsewhere is refused with what to write, wherever it is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from runner import LLM
from runner.cli import main
from runner.errors import ConfigError

HINT = "write temperature: 0"
PROMPTS: dict[str, Any] = {
    "literal": {"sampling": {"top_p": 0}},
    "number": {"sampling": {"top_p": 0.0}},
    "row": {"sampling": {"top_p": "{{ row.p }}"}},
    "slot": {"prompt": {"turns": [{"user": "{{ row.q }}"}, {"generate": {"as": "a", "top_p": 0}}]}},
}


@pytest.mark.parametrize("kind", ["fake", "vllm", "openai_compatible", "sglang", "google"])
@pytest.mark.parametrize("place", PROMPTS)
def test_top_p_of_zero_says_what_to_write(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the file, in a slot, and from a row."""
    monkeypatch.setenv("GEMINI_API_KEY", "some-key")
    (tmp_path / "rows.jsonl").write_text('{"q": "a", "p": 0}\n')
    address = {} if kind in {"fake", "google"} else {"base_url": "http://127.0.0.1:9/v1"}
    declared = {
        "model": {"name": "m"},
        "engine": {"kind": kind, **address},
        "prompt": "{{ row.q }}",
        "dataset": {"path": "rows.jsonl"},
        **PROMPTS[place],
    }
    file = tmp_path / "zero.yaml"
    file.write_text(json.dumps(declared))

    assert main(["plan", str(file)]) == 2

    assert HINT in " ".join(capsys.readouterr().err.split())


def test_top_p_of_zero_in_a_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same words."""
    monkeypatch.chdir(tmp_path)
    with LLM({"name": "m"}, engine="fake") as llm, pytest.raises(ConfigError, match=HINT):
        llm.generate_sync("a", top_p=0)
