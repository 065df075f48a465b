"""Cuts texts, lists and streams at arbitrary places, for tests of what puts them together again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any, TypeVar

from hypothesis import strategies as st

from runner.engines.sse import events

_Cut = TypeVar("_Cut", str, bytes, Sequence[Any])

TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
"""Any text, with line breaks, byte order marks and what looks like an event."""


def cut(draw: st.DrawFn, whole: _Cut, most: int = 4) -> list[_Cut]:
    """Return pieces that make up *whole*, some of them empty."""
    places: list[int] = sorted(draw(st.lists(st.integers(0, len(whole)), max_size=most)))
    return [whole[start:end] for start, end in zip([0, *places], [*places, len(whole)], strict=True)]


@st.composite
def streams(draw: st.DrawFn, bodies: Sequence[Any], *, done: bool = True) -> list[bytes]:
    """Return the chunks of a stream of these events, in any of the ways that the grammar allows."""
    newline = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    lines: list[str] = []
    for body in bodies:
        indent = draw(st.sampled_from([None, None, 1]))
        text = json.dumps(body, ensure_ascii=draw(st.booleans()), indent=indent)
        lines += draw(st.sampled_from([[], [": keep-alive"], ["data:", ""], ["data: null", ""], ["id: 1"]]))
        space = draw(st.sampled_from(["", " "]))
        lines += [f"data:{space}{line}" for line in text.split("\n")]
        lines.append("")
    lines += ["data: [DONE]", ""] if done else []
    start = draw(st.sampled_from([b"", b"\xef\xbb\xbf"]))
    return cut(draw, start + "".join(line + newline for line in lines).encode(), most=12)


async def _each(chunks: Sequence[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


def opened(chunks: Sequence[bytes]) -> Any:
    """Return the events of a stream that comes in these chunks."""
    return events(_each(chunks))


def data_of(chunks: Sequence[bytes]) -> list[bytes]:
    """Return the data of each event of a stream."""

    async def go() -> list[bytes]:
        return [data async for data in opened(chunks)]

    return asyncio.run(go())
