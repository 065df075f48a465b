"""A line of results.jsonl."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from runner.values import Json, Timing, Usage


class ScoreLine(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One scorer's verdict, as results.jsonl holds it; of a target that is a list, any element is right."""

    value: float
    answer: str | None = None
    target: str | tuple[str, ...] | None = None


class ErrorLine(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What went wrong for a row: the error's class, its message, and the HTTP status if any."""

    kind: str
    message: str
    status: int | None = None


class ResultLine(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One line of results.jsonl: a row and sample.

    Attributes:
        slots: answer text by slot.
        value: answer of a task that is answered with numbers; `slots` is empty then.
        finish: finish reason by slot, where it isn't ``stop``.
        scores: verdicts by scorer.
        usage: tokens of all its responses.
        latency: seconds from sending a request to the last byte of its response, less waiting and failed
            attempts; of several slots the sum.
        retries: how often its requests were sent again.
        cached: whether an earlier run has all its answers. This and the three before it are unset in a line
            that an earlier version of the runner wrote.
        sources: ``cached`` or ``shared`` by slot, where no request of this result brought the answer.
        row: the row's columns, as `output.columns` says.
        row_omitted: columns that are left out since they are long.
        keys: what the responses are stored under in the point's file, by slot (hex).
        error: set where the row has no answer.
    """

    id: str
    sample: int
    step: str
    slots: dict[str, str] = {}
    value: Json = None
    finish: dict[str, str] = {}
    scores: dict[str, ScoreLine] = {}
    usage: Usage | None = None
    latency: float | None = None
    retries: int | msgspec.UnsetType = msgspec.UNSET
    cached: bool | msgspec.UnsetType = msgspec.UNSET
    sources: dict[str, str] = {}
    row: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    row_omitted: tuple[str, ...] = ()
    keys: dict[str, str] = {}
    error: ErrorLine | None = None


class CountedLine(msgspec.Struct, frozen=True, gc=False):
    """What of a line is counted; all else is passed over undecoded, as there is a line for each result."""

    id: str
    sample: int
    slots: dict[str, str] = {}
    finish: dict[str, str] = {}
    scores: dict[str, ScoreLine] = {}
    error: ErrorLine | None = None


def spent(taken: Sequence[tuple[Usage, Timing]]) -> tuple[Usage | None, float | None, int]:
    """Return what some responses took: tokens, seconds and retries."""
    if not taken:
        return None, None, 0
    usage, timing = taken[0]
    if len(taken) == 1:
        return usage, timing.seconds, timing.attempts - 1
    for further, _ in taken[1:]:
        usage = usage.plus(further)
    return usage, sum(timing.seconds for _, timing in taken), sum(timing.attempts - 1 for _, timing in taken)
