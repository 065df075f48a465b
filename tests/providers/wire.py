"""What an engine sends and what it makes of an answer, byte for byte: a server that is told what to say.

response, sent = exchange("openai", chat_request("Hi"), {"choices": [...]})
error = failure("openai", answer({"error": ...}, 429))
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest

from runner.engines.registry import engine_kinds
from runner.errors import AskError
from runner.spec import Model
from runner.values import Request, Response
from tests.engines.asking_engines import ask, chat_request
from tests.engines.chunk_kit import texts_of
from tests.engines.scripted_server import Reply, ScriptedServer, Sent, serving

KEY = "sk-very-secret-0123456789"

KEYS = {
    "openai": "OPENAI_API_KEY",
    "together": "TOGETHER_API_KEY",
    "fireworks": "FIREWORKS_API_KEY",
    "xai": "XAI_API_KEY",
    "deepseek": "DEEPSEEK_API_KEY",
    "anthropic": "ANTHROPIC_API_KEY",
    "mistral": "MISTRAL_API_KEY",
    "google": "GEMINI_API_KEY",
}
"""Engine kind -> the variable that holds its key."""

PATHS = {"together": "", "anthropic": "", "mistral": "", "google": ""}
"""Kinds whose base_url is not up to and with /v1."""


def address(server: ScriptedServer, kind: str) -> str:
    """Return the base_url under which an engine kind finds *server*."""
    return f"http://127.0.0.1:{server.port}{PATHS.get(kind, '/v1')}"


def answer(body: Any, status: int = 200, headers: Mapping[str, str] | None = None, **how: Any) -> Reply:
    """Return a reply whose *body* is said to be JSON, which the SDKs look at."""
    return Reply(body, status, {"Content-Type": "application/json", **(headers or {})}, **how)


def events(*bodies: Any, done: bool = True) -> Reply:
    """Return a reply of server-sent events, one for each body."""
    lines = [f"data: {body if isinstance(body, str) else json.dumps(body)}\n\n" for body in bodies]
    data = "".join([*lines, "data: [DONE]\n\n"] if done else lines)
    return Reply(data.encode(), 200, {"Content-Type": "text/event-stream"})


def exchange(kind: str, request: Request, body: Any, **settings: Any) -> tuple[Response, Sent]:
    """Ask a server that answers *body* (or a whole `Reply`); return the response and what was sent."""

    async def run() -> tuple[Response, Sent]:
        async with serving(body if isinstance(body, Reply) else answer(body)) as server:
            response = await ask(kind, request, base_url=address(server, kind), **settings)
            (sent,) = server.sent
            return response, sent

    return asyncio.run(run())


def streamed(kind: str, request: Request, reply: Reply, **settings: Any) -> tuple[list[str], Sent]:
    """Stream from a server that gives *reply*; return the pieces of text and what was sent."""

    async def run() -> tuple[list[str], Sent]:
        async with serving(reply) as server:
            described = engine_kinds()[kind]
            given = {"kind": kind, "base_url": address(server, kind), **settings}
            own = described.settings.model_validate(given)
            async with described.create(own, Model(name="m")) as engine:
                pieces = await texts_of(engine, request)
            (sent,) = server.sent
            return pieces, sent

    return asyncio.run(run())


def failure(kind: str, reply: Reply, request: Request | None = None, **settings: Any) -> AskError:
    """Return the error that asking for *reply* raises; the server must have been asked exactly once."""

    async def run() -> AskError:
        async with serving(reply) as server:
            with pytest.raises(AskError) as caught:
                await ask(kind, request or chat_request(), base_url=address(server, kind), **settings)
            assert len(server.sent) == 1, "an engine never retries"
            return caught.value

    return asyncio.run(run())
