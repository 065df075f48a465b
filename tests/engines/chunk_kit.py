"""Reads what engines stream, and adds chunks up."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from typing import Any

from runner.engines.base import Engine
from runner.engines.chunks import Chunk, completed
from runner.values import Choice, Request, Response


def chunks_of(engine: Engine, request: Request) -> AsyncGenerator[Chunk | Response]:
    """Return the stream of an engine as those who ask through the runner have it."""
    return completed(engine.stream(request), request)


async def texts_of(engine: Engine, request: Request) -> list[str]:
    """Return the pieces of the first choice's text."""
    return [
        item.text
        async for item in chunks_of(engine, request)
        if isinstance(item, Chunk) and item.index == 0 and item.text
    ]


def added_up(chunks: Iterable[Chunk]) -> list[Choice]:
    """Return the choices that chunks make up."""
    choices: dict[int, dict[str, Any]] = {}
    for chunk in chunks:
        known = choices.setdefault(chunk.index, {"text": "", "calls": {}})
        known["text"] += chunk.text
        for name in ("token_ids", "logprobs", "reasoning"):
            if (value := getattr(chunk, name)) is not None:
                known[name] = known[name] + value if known.get(name) else value
        for piece in chunk.tool_calls:
            _add_call(known["calls"], piece)
        known["finish_reason"] = chunk.finish_reason or known.get("finish_reason")
    return [_choice(known) for _, known in sorted(choices.items())]


def _choice(known: dict[str, Any]) -> Choice:
    calls = known.pop("calls")
    return Choice(**known, tool_calls=tuple(call for _, call in sorted(calls.items())))


def _add_call(calls: dict[int, Any], piece: dict[str, Any]) -> None:
    own = dict(piece)
    function = dict(own.pop("function", {}))
    index = own.pop("index")
    call = calls.setdefault(index, {**own, "function": {**function, "arguments": ""}})
    call["function"]["arguments"] += function.get("arguments") or ""
