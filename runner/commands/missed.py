"""Why a request is not in the cache: the nearest one that is, and what differs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from runner.cache import ResponseCache
from runner.commands.console import cell
from runner.questions import OpenPoint
from runner.values import Json, Row

_SHOWN = 60
"""Characters of a value; of longer ones, those around the first difference."""

_WHY = {
    "engine.base_url": "another address; model.revision names what it serves, whatever the address",
    "engine.kind": "another engine",
    "input": "another prompt: its template or the row changed",
    "model.chat_template": "another chat template",
    "model.name": "another model",
    "model.revision": "another revision",
    "model.weights": "the model's files differ",
    "sample": "another sample of the same row",
    "schema": "stored by another version of the runner",
    "task": "another task",
}
"""What a difference means, by the field or its first part."""


class Difference(msgspec.Struct, frozen=True):
    """One field in which two requests differ, in words."""

    field: str
    stored: str
    now: str
    why: str


class Missed(msgspec.Struct, frozen=True):
    """A request that is not stored, and the nearest that is, if any."""

    slot: str
    key: bytes
    nearest: bytes | None
    differences: tuple[Difference, ...]


def explain(point: OpenPoint, row: Row, file: Path) -> Missed | tuple[str, ...]:
    """Follow a row through the cache: the keys of all its answers, or the first that is missing."""
    (question,) = point.questions(row, [0])
    keys: list[str] = []
    with ResponseCache(file) as cache:
        while True:
            question.prepare()
            data = cache.find([question.key]).get(question.key)
            if data is None:
                slot = point.slots[len(question.answers)]
                return _missed(slot, question.key, question.canonical, cache)
            keys.append(question.key.hex())
            if question.take_stored(data):
                return tuple(keys)


def _missed(slot: str, key: bytes, canonical: bytes, cache: ResponseCache) -> Missed:
    now = msgspec.json.decode(canonical)
    fields = dict(_flat(now))
    best: tuple[tuple[bool, int], bytes, Json] | None = None
    for other, request in cache.requests():
        stored = msgspec.json.decode(request)
        rank = (stored["input"] == now["input"], _equal(fields, stored))
        if best is None or rank > best[0]:
            best = (rank, other, stored)
    if best is None:
        return Missed(slot, key, None, ())
    return Missed(slot, key, best[1], tuple(_differences(dict(_flat(best[2])), fields)))


def _equal(fields: dict[str, Json], stored: Json) -> int:
    """Return how many fields are equal; one more or less that the other lacks counts against it."""
    others = dict(_flat(stored))
    equal = sum(1 for name, value in fields.items() if name in others and others[name] == value)
    return 2 * equal - len(others)


def _flat(value: Json, path: str = "") -> Iterator[tuple[str, Json]]:
    """Yield every value below *value* with its dotted place."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _flat(inner, f"{path}[{index}]")
    else:
        yield path, value


def _differences(stored: dict[str, Json], now: dict[str, Json]) -> Iterator[Difference]:
    for name in dict.fromkeys((*now, *stored)):
        if name not in stored or name not in now or stored[name] != now[name]:
            before, after = (_text(side, name) for side in (stored, now))
            yield Difference(name, *_cut(before, after), why=_why(name))


def _text(fields: dict[str, Json], name: str) -> str:
    return cell(fields[name]) if name in fields else "(not set)"


def _cut(before: str, after: str) -> tuple[str, str]:
    """Return two texts, long ones from shortly before where they part."""
    part = next(
        (i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b),
        min(len(before), len(after)),
    )
    start = 0 if max(len(before), len(after)) <= _SHOWN else max(0, part - _SHOWN // 3)

    def cut(text: str) -> str:
        end = "..." if len(text) > start + _SHOWN else ""
        return ("..." if start else "") + text[start : start + _SHOWN].replace("\n", "\\n") + end

    return cut(before), cut(after)


def _why(name: str) -> str:
    head = name.replace("[", ".").split(".", maxsplit=1)[0]
    return _WHY.get(name) or _WHY.get(head, "")
