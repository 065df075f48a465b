"""A line of results.jsonl."""

from __future__ import annotations

import msgspec

from runner.values import Json


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
    keys: dict[str, str] = {}
    error: ErrorLine | None = None
