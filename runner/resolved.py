"""What a run's resolved.json tells of points that the run was begun without."""

from __future__ import annotations

import msgspec

from runner.launch.orphans import job_folders
from runner.runs import RESOLVED_FILE, RunFolder, lost, read_file
from runner.values import Json


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
    """The file's form; of it the refused points are read back, as a job reads its own in its job.json."""

    name: str
    points: tuple[msgspec.Raw, ...]
    refused: tuple[Refusal, ...] = ()


def read_refused(run: RunFolder) -> tuple[Refusal, ...]:
    """Return the points that a run was begun without, in the experiment's order.

    Raises:
        UserError: the file is damaged, or gone.
    """
    try:
        return read_file(run.path / RESOLVED_FILE, _Resolved).refused
    except FileNotFoundError:
        raise lost(run.path / RESOLVED_FILE) from None


def check_jobs(run: RunFolder) -> None:
    """Refuse a run of which a job is gone: without it nobody knows what it was to be.

    Raises:
        UserError: names it.
    """
    folders = job_folders(run.path)
    for folder in folders or [run.path / "jobs"]:
        if not (folder / "job.json").exists():
            raise lost(folder / "job.json")


def check_whole(run: RunFolder) -> None:
    """Refuse a run that lacks what no command that shows or changes it can do without.

    Raises:
        UserError: names what is gone, or damaged.
    """
    check_jobs(run)
    read_refused(run)
