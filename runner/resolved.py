"""What a run's resolved.json tells of points that the run was begun without."""

from __future__ import annotations

import msgspec

from runner.runs import RunFolder, read_file
from runner.values import Json

RESOLVED_FILE = "resolved.json"


class Refusal(msgspec.Struct, frozen=True):
    """A point that was refused and left out of a run.

    Attributes:
        index: its place in the experiment, from 0.
        axes: what sets it apart from the other points.
        faults: why it can't run, in words; each may have a second line, which says what helps.
    """

    index: int
    axes: dict[str, Json]
    faults: tuple[str, ...]


class _Resolved(msgspec.Struct, frozen=True):
    """The part that is read back: a job reads its points in its job.json."""

    refused: tuple[Refusal, ...] = ()


def read_refused(run: RunFolder) -> tuple[Refusal, ...]:
    """Return the points that a run was begun without, in the experiment's order.

    Raises:
        UserError: the file is damaged.
    """
    return read_file(run.path / RESOLVED_FILE, _Resolved).refused
