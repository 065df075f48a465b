"""What an answer is compared with: a row's target as one or several texts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import Any, Final, TypeAlias

from runner.errors import RenderError
from runner.render import compile_template, compile_value
from runner.scoring.base import Score, Scorer

Targets: TypeAlias = tuple[str, ...]
"""Any of them is right."""

_EXPRESSION: Final = re.compile(r"\s*\{\{-?\s*(.*?)\s*-?\}\}\s*", re.DOTALL)
_MOST_NAMED: Final = 10


class Target:
    """A scorer's target: a template whose single expression keeps its JSON value.

    A list means any of its elements; `true` is the text ``true``, 5 is ``5``. Null, NaN, a map and an empty
    list are no target.

    Args:
        scorer: the scorer's name, for messages.
        source: the template.
        fault: says what is wrong with a text that nothing can be compared with.
    """

    def __init__(self, scorer: str, source: str, fault: Callable[[str], str | None]) -> None:
        self._place = f"scorers.{scorer}"
        name = f"{self._place}.target"
        self._text = compile_template(source, name=name)
        self._value = compile_value(source, name=name)
        single = _EXPRESSION.fullmatch(source)
        self._expression = single[1] if single else "the target"
        self._fault = fault
        self._column = self._value.column

    def names(self) -> frozenset[str]:
        """Return the names that it takes from outside."""
        return self._text.names()

    def of_row(self, data: Mapping[str, Any]) -> Targets:
        """Return the `texts` of a row, where no answer has a say in them."""
        if self._column is not None:
            value = data.get(self._column)
            if type(value) is str and self._fault(value) is None:  # nearly always
                return (value,)
        return self.texts({"row": data})

    def texts(self, names: dict[str, Any]) -> Targets:
        """Return the texts that an answer is compared with, without those that nothing equals.

        Raises:
            RenderError: the template failed on this row, or its value is no target.
        """
        try:
            value = self._value.value(names)
        except RenderError:
            self._text.render(names)  # fails as well, and names the line
            raise
        if isinstance(value, str) and self._fault(value) is None:
            return (value,)
        several = isinstance(value, list | tuple)
        given = (
            {f"{self._expression}[{at}]": one for at, one in enumerate(value)}
            if several
            else {self._expression: value}
        )
        problems = [f"{place} {problem}" for place, one in given.items() if (problem := _problem(place, one))]
        if not given:
            problems = [f"{self._expression} is an empty list, not a target"]
        if problems:
            raise RenderError(f"{self._place}: {problems[0]}; {self._use(names)}")
        return self._usable(tuple(dict.fromkeys(map(_text, given.values()))), names)

    def _usable(self, found: Targets, names: Mapping[str, Any]) -> Targets:
        faults = [self._fault(text) for text in found]
        usable = tuple(text for text, fault in zip(found, faults, strict=True) if fault is None)
        if not usable:
            error = RenderError(f"{self._place}: {faults[0]}")
            error.add_note(self._use(names))  # for a dataset of nothing else
            raise error
        return usable

    def _use(self, names: Mapping[str, Any]) -> str:
        """Say which field to use instead."""
        row = names.get("row", {})
        columns = ", ".join(map(str, list(row)[:_MOST_NAMED])) + (", ..." if len(row) > _MOST_NAMED else "")
        return f"name the field that holds the expected answer as {self._place}.target (columns: {columns})"


def _problem(place: str, value: Any) -> str | None:
    """Say why a value is no target."""
    if value is None:
        return "is null, not a target"
    if isinstance(value, Mapping):
        fields = ", ".join(f"{place}.{name}" for name in list(value)[:_MOST_NAMED])
        return f"is a map, not a target; its fields: {fields or 'none'}"
    if isinstance(value, list | tuple):
        return "is a list in a list, not a target"
    if isinstance(value, float) and not isfinite(value):
        return f"is {value}, not a target"
    return "is a method or a function, not a target" if callable(value) else None


def _text(value: Any) -> str:
    """Return a string as it is, and the text that JSON spells another value with."""
    return json.dumps(value) if isinstance(value, bool | int | float) else str(value)


def best_score(scorer: Scorer, answer: str, targets: Sequence[str]) -> Score:
    """Return the best score that an answer has with any of the targets."""
    best: Score | None = None
    for target in targets:
        score = scorer.score(answer, target)
        if best is None or score.value > best.value:
            best = score
        if best.value >= 1:
            break
    assert best is not None  # there is one target at least
    return best
