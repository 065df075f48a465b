"""How values look in messages, and which are too large to be any."""

from __future__ import annotations

from collections.abc import Iterator

import yaml

from runner.config.document import Key
from runner.values import Json

LARGEST = 2**63 - 1
"""Whole numbers beyond can't be counted with, sent or stored."""

_WIDTH = 60


def brief(value: Json) -> str:
    """Return *value* on one line, as YAML, cut if long."""
    text = yaml.safe_dump(value, default_flow_style=True, width=10_000, sort_keys=False, allow_unicode=True)
    line = text.removesuffix("...\n").strip()
    return line if len(line) <= _WIDTH else line[: _WIDTH - 3] + "..."


def oversized(value: Json, place: Key = ()) -> Iterator[Key]:
    """Yield where whole numbers below *value* are too large."""
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from oversized(inner, (*place, key))
    elif isinstance(value, int) and abs(value) > LARGEST:
        yield place
