"""How the answer to one question is drawn: what the point says, with what its row and sample make of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

import msgspec
from pydantic import ValidationError

from runner.engines.constraints import constraint_fault
from runner.errors import Fault, RenderError
from runner.render import ValueTemplate, compile_value
from runner.spec import LARGEST, Sampling
from runner.spec.exact import FILLED
from runner.spec.sampling import CONSTRAINTS, GO_WITH, is_template
from runner.values import Json, Row, spelled


class Drawing:
    """The sampling of one slot of a point.

    Args:
        sampling: effective values; templates are filled by each row.
        slots: names of the answers before this one.
        needs: parameters that no row may leave out.
        refused: finds what a row's passthrough may not hold, in all of its sampling.
    """

    def __init__(
        self,
        sampling: Mapping[str, Json],
        slots: Sequence[str],
        needs: frozenset[str] = frozenset(),
        refused: Callable[[Mapping[str, Json]], Iterable[Fault]] = lambda _: (),
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
        self._needs = needs
        self._refused = refused
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
            RenderError: as `sampling`; with templates of answers among them, for a value alone.
        """
        if not self._open:
            return self.sampling(row, (), sample)
        own = {name: one for name, one in self._templates.items() if name not in self._open}
        return {**_of_sample({**self._fixed, **self._filled(own, row, ())}, sample), **self._open}

    def sampling(self, row: Row, answers: Sequence[str], sample: int) -> Mapping[str, Json]:
        """Return what is sent; where no row has a say, the same map for every row.

        Raises:
            RenderError: a row's value can't be made, or is none that the parameter takes.
        """
        if self._templates:
            sampling = {**self._fixed, **self._filled(self._templates, row, answers)}
            _require_together(sampling)
            for fault in self._refused(sampling) if "passthrough" in self._templates else ():
                raise RenderError(f"{fault.place}: {fault.problem}; {fault.hint} (the row gives it)")
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
        if missing := (self._needs & templates.keys()) - given.keys():
            raise RenderError(f"sampling.{min(missing)}: the row gives none, and the engine needs it")
        try:
            filled = Sampling.model_validate(given, context=FILLED).given()
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, ("sampling", *first["loc"])))
            raise RenderError(
                f"{place}: {first['msg']} (the row gives {spelled(first['input'], 80)})"
            ) from None
        for name, value in filled.items():
            if isinstance(value, int) and value > LARGEST:
                problem = f"too large: whole numbers go up to {LARGEST}"
                raise RenderError(f"sampling.{name}: {problem} (the row gives {value})")
        for name in CONSTRAINTS:
            if name in filled and (fault := constraint_fault(name, filled[name])) is not None:
                raise RenderError(f"{fault.place}: {fault.problem} (the row gives it)")
        return filled


def _require_together(sampling: Mapping[str, Json]) -> None:
    """Make sure that a row leaves out nothing that something else needs; what no row fills is the plan's."""
    for name, (other, problem) in GO_WITH.items():
        if name in sampling and not sampling.get(other):
            given = spelled(sampling[other]) if other in sampling else "none"
            raise RenderError(f"sampling.{name}: {problem} (the row gives {given})")


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
