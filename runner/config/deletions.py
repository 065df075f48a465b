"""Deletions of what nobody gave are refused, as Hydra refuses them."""

from __future__ import annotations

from collections.abc import Collection

from runner.config.document import COMMAND_LINE, Key, dotted
from runner.config.keys import nearest
from runner.config.values import brief
from runner.errors import Fault
from runner.values import Json


def there(config: Json, path: Key) -> bool:
    """Tell whether something stands at *path* below *config*, be it null."""
    for part in path:
        if isinstance(config, dict) and part in config:
            config = config[part]
        elif isinstance(config, list) and str(part).isdecimal() and int(part) < len(config):
            config = config[int(part)]
        else:
            return False
    return True


def given_by(swept: Collection[Key], path: Key) -> bool:
    """Tell whether an axis gives something at *path* or below it."""
    return any(key[: len(path)] == path for key in swept)


def nothing_there(path: Key, config: dict[str, Json]) -> Fault:
    """Return the fault of deleting *path*, which *config* doesn't hold."""
    missing = next(size for size in range(len(path)) if not there(config, path[: size + 1]))
    hint = _siblings(config, path[:missing], str(path[missing]))
    return Fault(dotted(path), "nothing to delete: it is not given", hint, COMMAND_LINE.label)


def _siblings(config: Json, above: Key, name: str) -> str:
    for part in above:
        config = config[int(part) if isinstance(config, list) else part]
    return nearest(name, list(config)) if isinstance(config, dict) else ""


def other_value(path: Key, found: Json, expected: Json) -> Fault | None:
    """Return the fault of ``~key=value`` where another value stands; an *expected* None fits any."""
    same = found == expected and isinstance(found, bool) == isinstance(expected, bool)
    if expected is None or same:
        return None
    problem = f"not deleted: it is {brief(found, path)}, not {brief(expected, path)}"
    return Fault(dotted(path), problem, f"~{dotted(path)} deletes any value", COMMAND_LINE.label)
