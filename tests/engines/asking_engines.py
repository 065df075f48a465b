"""Requests for engines under test."""

from __future__ import annotations

from typing import Any

from runner.engines.registry import engine_kinds
from runner.spec import Model
from runner.values import Request, Response, Scope

_SCOPE = Scope(model={"name": "m"}, engine={"kind": "test"})


def chat_request(text: str = "Hi", *, sample: int = 0, **sampling: Any) -> Request:
    """Return a request with one user message."""
    return Request("chat", ({"role": "user", "content": text},), sampling, _SCOPE, sample)


def text_request(prompt: str = "Hi", **sampling: Any) -> Request:
    """Return a request with a raw prompt."""
    return Request("complete", prompt, sampling, _SCOPE)


async def ask(kind: str, request: Request, *, model: str = "m", **settings: Any) -> Response:
    """Start an engine, ask it one request, and end it."""
    described = engine_kinds()[kind]
    engine = described.create(described.settings(**settings), Model(name=model))
    async with engine:
        return await engine.generate(request)
