"""An address without /v1: the error says what to write, after one look."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from runner.engines.registry import engine_kinds
from runner.errors import AskError, BadRequestError, EngineError
from runner.spec import Model
from runner.values import Request, Scope
from tests.engines.asking_engines import chat_request, text_request
from tests.http_server import Behaviour, HttpServer, answers

REQUESTS: dict[str, Request] = {
    "chat": chat_request(),
    "complete": text_request(),
    "embed": Request("embed", "a", {}, Scope({}, {})),
    "rerank": Request("rerank", {"query": "q", "documents": ["a"]}, {}, Scope({}, {})),
}


def failures(
    kind: str, paths: dict[str, Behaviour], task: str, path: str = "", *, times: int = 1, **settings: Any
) -> tuple[list[AskError], list[str], str]:
    """Return the errors of equal requests, what the server was sent, and its address."""

    async def go() -> tuple[list[AskError], list[str], str]:
        with HttpServer(paths) as server:
            described = engine_kinds()[kind]
            url = server.url(path)
            given = described.settings.model_validate({"kind": kind, "base_url": url, **settings})
            async with described.create(given, Model(name="m")) as engine:
                found = []
                for _ in range(times):
                    with pytest.raises(AskError) as caught:
                        await engine.generate(REQUESTS[task])
                    found.append(caught.value)
                return found, [f"{one.method} {one.target}" for one in server.received], url

    return asyncio.run(go())


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("task", REQUESTS)
@pytest.mark.parametrize("kind", ["openai_compatible", "vllm", "sglang"])
@pytest.mark.parametrize("status", [200, 401])
def test_error_says_what_to_write(kind: str, task: str, stream: bool, status: int) -> None:
    """The job stops: no other row could be answered."""
    paths = {"/v1/models": answers(b"{}", status)}

    (error,), _, url = failures(kind, paths, task, stream=stream)

    assert isinstance(error, EngineError)
    assert f"write engine.base_url={url}/v1" in str(error)


def test_server_is_looked_at_once() -> None:
    """However many requests fail."""
    _, sent, _ = failures("openai_compatible", {}, "chat", times=3)

    assert sent.count("GET /v1/models") == 1


@pytest.mark.parametrize("path", ["", "/v1", "/api/v3"])
def test_server_without_a_version_is_not_guessed(path: str) -> None:
    """What it said is told as before."""
    ((error,), sent, _) = failures("openai_compatible", {"/models": answers(b"{}")}, "chat", path)

    assert isinstance(error, BadRequestError)
    assert "write engine.base_url" not in str(error)
    assert len(sent) == (1 if path == "/v1" else 2)
