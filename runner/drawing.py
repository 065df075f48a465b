"""How the answer to one question is drawn: what the point says, with what its row and sample make of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

import msgspec
from pydantic import ValidationError

from runner.engines.request_rules import Finding, RowRules, Target, findings
from runner.errors import RenderError
from runner.render import ValueTemplate, compile_value
from runner.spec import LARGEST, Sampling
from runner.spec.exact import FILLED
from runner.spec.sampling import CONSTRAINTS, is_template
from runner.values import Json, Row, spelled

_ANY_TARGET = Target()


class Drawing:
    """The sampling of one slot of a point.

    Args:
        sampling: effective values; templates are filled by each row.
        slots: names of the answers before this one.
        target: what the values are for; left out means any engine.
    """

    def __init__(
        self, sampling: Mapping[str, Json], slots: Sequence[str], target: Target = _ANY_TARGET
    ) -> None:
        self._fixed = {name: value for name, value in sampling.items() if not is_template(value)}
        self._templates: dict[str, ValueTemplate] = {
            name: compile_value(value, name=f"sampling.{name}")
            for name, value in sampling.items()
            if is_template(value)
        }
        self._slots = tuple(slots)
        # What an answer has a say in, as it is written.
        self._open: dict[str, Json] = {
            name: sampling[name]
            for name, template in self._templates.items()
            if not template.names().isdisjoint(slots)
        }
        self._target = target
        self._rules = RowRules(sampling, target)
        self._of_sample: dict[int, dict[str, Json]] = {}

    @cached_property
    def columns(self) -> frozenset[str]:
        """Columns that every row must have."""
        return frozenset[str]().union(*(template.columns() for template in self._templates.values()))

    @property
    def filled(self) -> tuple[str, ...]:
        """Names of what each row fills."""
        return tuple(self._templates)

    def foreseen(self, row: Row, sample: int) -> Mapping[str, Json]:
        """Return what is sent, as far as it can be told before there are answers: their templates stay.

        Raises:
            RenderError: as `sampling`, as far as it can be told before there are answers.
        """
        if not self._open:
            return self.sampling(row, (), sample)
        own = {name: one for name, one in self._templates.items() if name not in self._open}
        sampling = {**self._fixed, **self._filled(own, row, ())}
        self._require(findings({**sampling, **self._open}, self._target), sampling)
        return {**_of_sample(sampling, sample), **self._open}

    def sampling(self, row: Row, answers: Sequence[str], sample: int) -> Mapping[str, Json]:
        """Return what is sent; where no row has a say, the same map for every row.

        Raises:
            RenderError: a row's value can't be made, or breaks one of the rules of `request_rules`.
        """
        if self._templates:
            sampling = {**self._fixed, **self._filled(self._templates, row, answers)}
            self._require(self._rules.findings(sampling), sampling)
            return _of_sample(sampling, sample)
        known = self._of_sample.get(sample)
        if known is None:
            known = self._of_sample[sample] = _of_sample(dict(self._fixed), sample)
        return known

    def _filled(
        self, templates: Mapping[str, ValueTemplate], row: Row, answers: Sequence[str]
    ) -> dict[str, Json]:
        names = {"row": row.data, **dict(zip(self._slots, answers, strict=False))}
        given = {name: template.value(names) for name, template in templates.items()}
        given = {name: _structured(name, value) for name, value in given.items()}
        # A column that has no value leaves the parameter out.
        given = {name: value for name, value in given.items() if value is not None and value != ""}
        try:
            filled = Sampling.model_validate(given, context=FILLED).given()
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, ("sampling", *first["loc"])))
            said = first["msg"].removeprefix("Value error, ")
            raise RenderError(f"{place}: {said} (the row gives {spelled(first['input'], 80)})") from None
        for name, value in filled.items():
            if (problem := _unsendable(value)) is not None:
                raise RenderError(f"sampling.{name}: {problem} (the row gives {spelled(value, 80)})")
        return filled

    def _require(self, found: Iterable[Finding], sampling: Mapping[str, Json]) -> None:
        """Raise for the first finding; those that no row has a say in were the plan's."""
        for one in found:
            within = one.place.count(".") > 1
            told = f"{one.place}: {one.problem}" + (f"; {one.hint}" if within else "")
            raise RenderError(f"{told} ({self._given(one, sampling, within=within)})")

    def _given(self, found: Finding, sampling: Mapping[str, Json], *, within: bool) -> str:
        """Return what the row gives, of the values that a finding is about."""
        name = next((name for name in (*found.others, *found.names) if name in self._templates), None)
        if name is None:
            return f"the row fills {', '.join(self._templates)}"
        if within or name in CONSTRAINTS:
            return "the row gives it"
        return f"the row gives {spelled(sampling[name], 80) if name in sampling else 'none'}"


def _unsendable(value: Json) -> str | None:
    """Return why a value of a row can't be sent, at any depth, if it can't."""
    if isinstance(value, int) and not -LARGEST <= value <= LARGEST:
        return f"too large: whole numbers go up to {LARGEST}"
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return next((problem for one in inner if (problem := _unsendable(one)) is not None), None)


def _of_sample(sampling: dict[str, Json], sample: int) -> dict[str, Json]:
    """Give each sample seeds of its own; n choices use as many in a row."""
    if sampling.get("seed") is not None:
        sampling["seed"] += sample * (sampling.get("n") or 1)
    return sampling


_STRUCTURED = frozenset({
    "json_schema",
    "tools",
    "tool_choice",
    "choice",
    "stop_token_ids",
    "logit_bias",
    "chat_template_kwargs",
    "passthrough",
})
"""Parameters that hold lists and maps: a column of a CSV file holds them as JSON text."""


_VERBATIM = frozenset({"stop", "regex", "choice"})
"""Parameters that are texts of the user's own: white space at their ends is part of them."""


def _structured(name: str, value: Any) -> Any:
    if not isinstance(value, str) or name in _VERBATIM:
        return value
    value = value.strip()  # a template may be a YAML block, which ends with a newline
    if name not in _STRUCTURED or value[:1] not in {"[", "{"}:
        return value
    try:
        return msgspec.json.decode(value)
    except msgspec.DecodeError as error:
        raise RenderError(f"sampling.{name}: the row's text is no JSON: {error}") from None
