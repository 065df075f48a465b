"""A real vLLM that gives its memory back for a while."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.request import urlopen

import pytest

from runner import LLM
from runner.engines.served_engine import ServedEngine
from tests.contract.subjects import Subject

pytestmark = [pytest.mark.contract, pytest.mark.slow]

GREEDY = {"temperature": 0, "max_tokens": 16}


def _asleep(address: str) -> bool:
    """Return what the server says of itself."""
    with urlopen(f"{address}/is_sleeping", timeout=30) as answer:
        return bool(json.load(answer)["is_sleeping"])


@pytest.mark.parametrize("subject", ["vllm"], indirect=True)
def test_server_sleeps_until_it_is_woken_or_asked(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says so itself, and answers afterwards as before."""
    assert isinstance(subject.engine, ServedEngine)
    address = subject.engine.address
    monkeypatch.chdir(tmp_path)
    engine = {"kind": "vllm", "base_url": f"{address}/v1"}
    with LLM({"name": "tiny"}, engine=engine, sampling=GREEDY, cache=False) as llm:
        told = [llm.generate_sync("37+48").text, _asleep(address)]
        llm.sleep()
        told += [_asleep(address), llm.generate_sync("37+48").text, _asleep(address)]
        llm.sleep()
        told += [_asleep(address)]
        llm.wake_up()
        told += [_asleep(address), llm.generate_sync("37+48").text]

    assert told == ["85", False, True, "85", False, True, False, "85"]
