"""A line of results.jsonl."""

from __future__ import annotations

import msgspec

from runner.values import Json, Usage


class ScoreLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """One scorer's verdict, as results.jsonl holds it; of a target that is a list, any element is right."""

    value: float
    answer: str | None = None
    target: str | tuple[str, ...] | None = None


class ErrorLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """What went wrong for a row: the error's class, its message, and the HTTP status if any."""

    kind: str
    message: str
    status: int | None = None


class ResultLine(msgspec.Struct, frozen=True, omit_defaults=True):
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


class CountedLine(msgspec.Struct, frozen=True):
    """What of a line is counted; all else is passed over undecoded, as there is a line for each result."""

    id: str
    sample: int
    slots: dict[str, str] = {}
    finish: dict[str, str] = {}
    scores: dict[str, ScoreLine] = {}
    error: ErrorLine | None = None
