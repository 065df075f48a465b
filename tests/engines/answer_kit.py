"""Answers of a server in OpenAI's form, asked for in one piece, in pieces, and as text that streams."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from runner.engines.base import EngineContext
from runner.engines.notes import Notes
from runner.engines.openai_compatible import KIND, OpenAICompatible
from runner.spec import Model
from runner.values import Request, Response
from tests.engines.asking_engines import chat_request
from tests.engines.chunk_kit import texts_of
from tests.engines.scripted_server import Reply, serving

CASES = Path(__file__).parent.parent / "cases"


def ask(
    reply: Reply, request: Request | None = None, *, stream: bool = False, **settings: Any
) -> tuple[Response, list[str]]:
    """Return the response to a request, and what was noted."""

    async def go() -> tuple[Response, list[str]]:
        noted: list[str] = []
        async with serving(reply) as server:
            given = OpenAICompatible(base_url=server.url, stream=stream, **settings)
            context = EngineContext(notes=Notes(noted.append))
            async with KIND.create(given, Model(name="m"), context) as engine:
                return await engine.generate(request or chat_request()), noted

    return asyncio.run(go())


def texts(reply: Reply, request: Request | None = None) -> list[str]:
    """Return the texts that an engine streams."""

    async def go() -> list[str]:
        async with serving(reply) as server:
            given = OpenAICompatible(base_url=server.url)
            async with KIND.create(given, Model(name="m")) as engine:
                return await texts_of(engine, request or chat_request())

    return asyncio.run(go())


def event_stream(*events: Any) -> Reply:
    """Return a stream of these events, each as it is, or as the JSON of a chunk, and [DONE]."""
    lines = [one if isinstance(one, str) else f"data: {json.dumps(one)}" for one in (*events, "data: [DONE]")]
    return Reply("".join(f"{line}\n\n" for line in lines).encode())


def piece(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    """Return a chunk that brings a piece of the only choice."""
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
