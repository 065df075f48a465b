"""How values look in messages, and which are too large to be any."""

from __future__ import annotations

import re
from collections.abc import Iterator

import yaml

from runner.config.document import Key
from runner.secrets import MASK
from runner.spec import ENV_NAME, LARGEST
from runner.values import Json

_WIDTH = 60
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")
VARIABLES = frozenset({"api_key_env", "headers_env"})
"""Keys below which names of environment variables stand."""


def names_variables(place: Key) -> bool:
    """Tell whether names of environment variables belong at *place*; what else stands there may be a key."""
    return not VARIABLES.isdisjoint(place)


def brief(value: Json, place: Key = ()) -> str:
    """Return *value*, which stands at *place*, on one line, as YAML, cut if long; keys are masked."""
    shown = _discreet(value, hidden=names_variables(place))
    text = yaml.safe_dump(shown, default_flow_style=True, width=10_000, sort_keys=False, allow_unicode=True)
    line = text.removesuffix("...\n").strip()
    return line if len(line) <= _WIDTH else line[: _WIDTH - 3] + "..."


def _discreet(value: Json, *, hidden: bool) -> Json:
    if isinstance(value, dict):
        return {key: _discreet(one, hidden=hidden or key in VARIABLES) for key, one in value.items()}
    if isinstance(value, list):
        return [_discreet(one, hidden=hidden) for one in value]
    named = value is None or (isinstance(value, str) and re.fullmatch(ENV_NAME, value))
    if hidden and not named:
        return MASK
    return _CREDENTIALS.sub(f"{MASK}@", value) if isinstance(value, str) else value


def oversized(value: Json, place: Key = ()) -> Iterator[Key]:
    """Yield where whole numbers below *value* are too large."""
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from oversized(inner, (*place, key))
    elif isinstance(value, int) and abs(value) > LARGEST:
        yield place
