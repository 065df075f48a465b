"""How much ``${...}`` comes to: references to references grow as aliases of aliases do."""

from __future__ import annotations

import re
from collections.abc import Sequence

from runner.config.limits import MOST_DEPTH, MOST_REFERENCES, MOST_TEXT
from runner.config.nodes import Key
from runner.values import Json

_REFERENCE = re.compile(r"\$\{([^${}:]+)\}")
_PART = re.compile(r"[^.\[\]]+")


class Growth:
    """Measures what the texts of one config come to, each value once."""

    def __init__(self, config: Json) -> None:
        self._config = config
        self._known: dict[Key, tuple[int, int]] = {}
        self._open: list[Key] = []

    def fault(self, places: Sequence[Key]) -> str:
        """Return why the texts at *places* can't be resolved; empty if they can."""
        references = characters = 0
        for place in places:
            try:
                found = self._measured(place)
            except RecursionError:
                return f"more than {MOST_DEPTH} references lead to each other"
            references, characters = references + found[0], characters + found[1]
            if references > MOST_REFERENCES:
                return f"more than {MOST_REFERENCES:,} references to other keys, theirs included"
            if characters > MOST_TEXT:
                return f"more than {MOST_TEXT:,} characters once its references are resolved"
        return ""

    def _measured(self, place: Key) -> tuple[int, int]:
        """Return how many references and characters the value at *place* comes to."""
        if place in self._open:
            return 0, 0  # a circle, of which OmegaConf tells
        if place not in self._known:
            if len(self._open) > 2 * MOST_DEPTH:
                raise RecursionError
            self._open.append(place)
            self._known[place] = self._sum(place)
            self._open.pop()
        return self._known[place]

    def _sum(self, place: Key) -> tuple[int, int]:
        value = _at(self._config, place)
        if isinstance(value, str):
            targets = [_target(found[1].strip(), place) for found in _REFERENCE.finditer(value)]
            own = (len(targets), len(value))
        else:
            keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
            targets = [(*place, key) for key in keys]
            own = (0, 1)
        parts = [own, *map(self._measured, targets)]
        return sum(part[0] for part in parts), sum(part[1] for part in parts)


def _target(reference: str, place: Key) -> Key:
    """Return the place that a *reference*, written at *place*, names; leading dots go up."""
    dots = len(reference) - len(reference.lstrip("."))
    parts = tuple(_PART.findall(reference))
    return (*place[: max(0, len(place) - dots)], *parts) if dots else parts


def _at(config: Json, place: Key) -> Json:
    for part in place:
        if isinstance(config, dict):
            config = config.get(str(part))
        elif isinstance(config, list) and str(part).isdecimal() and int(part) < len(config):
            config = config[int(part)]
        else:
            return None
    return config
