"""What a Python user reads names arguments as Python writes them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runner import LLM
from runner.errors import AskError, ConfigError, RunnerError
from tests.http_server import HttpServer, answers
from tests.work.work_kit import CHAT

pytestmark = pytest.mark.usefixtures("lab")

GATEWAY = {"kind": "vllm", "base_url": "http://127.0.0.1:9/v1"}


def raw(**sampling: Any) -> Callable[[], object]:
    """Return a completion of a raw prompt."""
    return lambda: LLM({"name": "m"}, engine=GATEWAY, task="complete").generate_sync("x", **sampling)


MISTAKES: dict[str, tuple[Callable[[], object], str]] = {
    "provider's model": (lambda: LLM("gpt-4o"), 'LLM("openai:gpt-4o")'),
    "server's model": (lambda: LLM("who"), '{"name": "NAME"} for what a server calls it'),
    "folder at an address": (lambda: LLM("tiny", engine=GATEWAY), 'model={"name": ...}'),
    "served name": (lambda: LLM("tiny", engine=GATEWAY), 'engine={"served_model_name": ...}'),
    "needed value": (raw(), "such as max_tokens=256"),
    "value that needs another": (
        lambda: LLM("fake:m").generate_sync("x", top_logprobs=1),
        "add logprobs=True",
    ),
    "value out of range": (lambda: LLM("fake:m").generate_sync("x", top_p=2), "top_p: 2 given, expected"),
    "another library's call": (lambda: LLM("fake:m").generate_sync("x", stream=True), "stream_sync(...)"),
    "constant": (lambda: LLM("fake:m").generate_sync("x", n=True), "n: True given, expected"),
    "stream of choices": (lambda: list(LLM("fake:m").stream_sync("x", n=2)), "n: a stream of text"),
    "no model": (lambda: LLM(None), 'LLM("tiny")'),  # type: ignore[arg-type]
    "revision": (lambda: LLM({"name": "a", "revision": "b"}, engine="openllm"), 'model={"name": "a:b"}'),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_is_told_in_python(mistake: str) -> None:
    """No override of the command line, no flag, no template that a call can't have."""
    make, said = MISTAKES[mistake]
    with pytest.raises(RunnerError) as caught:
        make()

    message = str(caught.value)
    assert said in message
    assert not re.search(
        r"\b(model|engine|sampling|topology)\.\w+=|\bmodel=\w|--[a-z]|row\.x|=true|=false", message
    )


def test_damaged_cache_is_told_in_python(tmp_path: Path) -> None:
    """As an argument."""
    file = tmp_path / "cache.sqlite"
    file.write_bytes(b"garbage" * 1000)
    with LLM("fake:m", cache=file) as llm, pytest.raises(RunnerError, match=r"cache=False works without it$"):
        llm.generate_sync("x")


def test_lack_of_gpus_is_told_in_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """An LLM is no job, and has no cluster to set."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    said = r"the LLM takes 2 GPUs .* or see CUDA_VISIBLE_DEVICES$"
    with LLM("fake:m", engine={"kind": "fake", "gpus": 2}) as llm, pytest.raises(RunnerError, match=said):
        llm.generate_sync("x")


def test_setting_that_a_server_wants_is_told_in_python() -> None:
    """The server's own words stay as they are."""
    refusal = b'{"error": {"message": "model=gpt: max_tokens is not supported, use max_completion_tokens"}}'
    with HttpServer({CHAT: answers(refusal, 400)}) as server:
        engine = {"kind": "openai_compatible", "base_url": server.url("/v1")}
        with LLM({"name": "m"}, engine=engine) as llm, pytest.raises(AskError) as caught:
            llm.generate_sync("x", max_tokens=5)

    assert "model=gpt: max_tokens" in str(caught.value)
    assert 'engine={..., "max_tokens_field": "max_completion_tokens"}' in str(caught.value)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("response_format", "json_schema"), ("max_completion_tokens", "max_tokens"), ("stop_sequences", "stop")],
)
def test_parameter_of_another_library_is_named_as_it_is_here(theirs: str, ours: str) -> None:
    """Its name resembles another one's, or none."""
    with LLM("fake:m") as llm, pytest.raises(ConfigError, match=f"did you mean {ours}\\?"):
        llm.generate_sync("a", **{theirs: 1})
