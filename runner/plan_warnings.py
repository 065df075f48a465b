"""What a plan may do and its author most likely doesn't mean."""

from __future__ import annotations

from collections.abc import Iterator

from runner.plan import PlannedPoint
from runner.prompts.texts import uses_row
from runner.render import compile_value
from runner.spec.sampling import is_template
from runner.values import Json, count


def point_warnings(planned: PlannedPoint, rows: int | None) -> tuple[str, ...]:
    """Return what looks wrong with a point, in words.

    Args:
        planned: the point.
        rows: how many it reads; None where they weren't counted.
    """
    return (*_constant_prompt(planned, rows), *_equal_samples(planned))


def _constant_prompt(planned: PlannedPoint, rows: int | None) -> Iterator[str]:
    """Find a prompt that is the same for all rows, where there are several."""
    if rows is None and planned.experiment.dataset.limit == 1:
        rows = 1
    if rows == 1 or uses_row(planned.prompt):
        return
    which = "every row sends" if rows is None else f"all {count(rows, 'row')} send"
    sampling = [planned.sampling, *(slot.sampling for slot in planned.prompt.slots)]
    by_row = any(_uses_row(value) for values in sampling for value in values.values())
    what = "the same prompt" if by_row else "the same request"
    yield f"the prompt uses no column, so {which} {what}; a column is written {{{{ row.NAME }}}}"


def _uses_row(value: Json) -> bool:
    return is_template(value) and "row" in compile_value(value, name="sampling").names()


def _equal_samples(planned: PlannedPoint) -> Iterator[str]:
    """Find samples that are drawn at temperature 0, from the first slot on."""
    samples = planned.experiment.samples
    greedy = 0
    slots = planned.prompt.slots
    while greedy < len(slots) and _temperature(planned, greedy) == 0:
        greedy += 1
    if samples == 1 or not greedy:
        return
    answers = "answers" if greedy == len(slots) else f"answers of {', '.join(s.name for s in slots[:greedy])}"
    yield f"samples: {samples} at temperature 0: the {answers} to a row are equal, and each is paid for"


def _temperature(planned: PlannedPoint, slot: int) -> Json:
    """Return what is sent for a slot; None where nothing is, or where a row says it."""
    own = planned.prompt.slots[slot].sampling
    name = "temperature"
    value = own[name] if name in own and name not in planned.experiment.model.omit else None
    value = planned.sampling.get(name) if value is None else value
    return None if isinstance(value, str | bool) else value
