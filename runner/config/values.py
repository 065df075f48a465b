"""How values look in messages."""

from __future__ import annotations

import yaml

from runner.values import Json

_WIDTH = 60


def brief(value: Json) -> str:
    """Return *value* on one line, as YAML, cut if long."""
    text = yaml.safe_dump(value, default_flow_style=True, width=10_000, sort_keys=False, allow_unicode=True)
    line = text.removesuffix("...\n").strip()
    return line if len(line) <= _WIDTH else line[: _WIDTH - 3] + "..."
