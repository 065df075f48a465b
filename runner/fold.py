"""A point's files from what its attempts recorded: repeatable, interruptible, under the folder's lock."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Annotated, Self, TypeAlias

import msgspec

from runner.errors import UNWRITABLE, RunnerError, UserError
from runner.export import export
from runner.exported import METRICS_FILE, damaged_files, note_exported
from runner.jobs import Job, PointSpec, read_job
from runner.notices import notice
from runner.points import PointRecords
from runner.records import ERROR, OK, RECORDS_FILE, Record, by_point, damaged_record, read_records
from runner.results import ResultLine
from runner.runs import RunFolder, read_file, write_file
from runner.sharing import Sharing
from runner.spec import Experiment
from runner.sqlite_errors import CacheDamagedError, CacheUnusableError
from runner.vectors import damaged_parts, export_vectors

_FOLD = 2_000
"""Records read in one go."""

FOLDED_FILE = "folded.json"
"""In a job's folder: up to which byte each attempt's records are folded."""

_Bytes: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]

_OPEN = 2
"""Points open at once: a job asks them one after another."""

_decode = msgspec.json.Decoder(ResultLine)


class UnfoldedError(RunnerError):
    """Raised when what attempts recorded can't be made into results, for want of room, say; none is lost."""


class PointCounts(msgspec.Struct, frozen=True):
    """Results of a point: expected, answered, failed for good; the rest is missing.

    ``served`` are those of the answered that the cache completed before any job was launched; ``fault`` says
    why the vectors of the answers could not be written, where they could not.
    """

    expected: int
    ok: int
    errors: int
    served: int = 0
    fault: str = ""

    @property
    def missing(self) -> int:
        """Results that a resume would ask for."""
        return self.expected - self.ok - self.errors


REMAKE = "delete it, and it is made anew"
"""What helps where a file is damaged that a fold writes."""


def fold_run(run: RunFolder, tell: Callable[[str], None] = lambda _: None) -> dict[str, PointCounts]:
    """Fold every attempt of a run into its points' files; return the counts by point.

    What is folded already costs next to nothing, so that any command may call this. A folder that may
    only be read is left as it is. Where the shared cache can't be written, *tell* is told why, and a later
    fold adds to it.

    Raises:
        UserError: a file of the run is damaged.
        UnfoldedError: a file can't be written; the next fold goes on.
    """
    jobs = {folder: read_job(folder) for folder in run.jobs}
    if not os.access(run.path, os.W_OK):
        return {point.name: _last_counts(run, point) for job in jobs.values() for point in job.points}
    try:
        with run.lock():
            return _fold_jobs(run, jobs, Sharing(run.cache, tell))
    except CacheUnusableError as error:
        raise _unfolded(run, str(error)) from error
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        raise _unfolded(run, f"{error.filename} can't be written: {error.strerror}") from error


def _unfolded(run: RunFolder, reason: str) -> UnfoldedError:
    return UnfoldedError(
        f"the answers of {run.name} could not be made into results: {reason}\n"
        f"    none is lost: they are in {run.path / 'jobs'}/*/*/{RECORDS_FILE}; fix that, then: "
        f"runner status {run.path}"
    )


def _fold_jobs(run: RunFolder, jobs: Mapping[Path, Job], sharing: Sharing) -> dict[str, PointCounts]:
    counts = {}
    for folder, job in jobs.items():
        counts.update(_fold_whole(run, folder, job, sharing))
    return counts


def _fold_whole(run: RunFolder, folder: Path, job: Job, sharing: Sharing) -> dict[str, PointCounts]:
    """Fold a job and bring its points up to date; a point's file that turns out damaged is made anew."""
    made_anew: set[Path] = set()
    while True:
        _begin_anew(run, folder, job)
        try:
            _fold_job(run, folder, job)
            return {point.name: _refresh(run, point, sharing) for point in job.points}
        except CacheDamagedError as error:
            if error.path in made_anew:
                raise
            made_anew.add(error.path)
            _set_aside(error.path, folder)


def _set_aside(file: Path, folder: Path) -> None:
    """Have a point's damaged file, and all that was made of it, made anew of what its job recorded."""
    kept = file.with_name(f"{file.name}.damaged")
    notice(
        f"{file} is damaged: it is made anew of what the attempts recorded, and kept as {kept.name}; "
        "a resume has the cache complete what no attempt recorded"
    )
    file.with_name(f"{file.name}-journal").unlink(missing_ok=True)
    file.replace(kept)
    file.with_name(METRICS_FILE).unlink(missing_ok=True)
    (folder / FOLDED_FILE).unlink(missing_ok=True)


def _begin_anew(run: RunFolder, folder: Path, job: Job) -> None:
    """Have a job's records folded from their beginning where a point has lost what was made of them."""
    gone = [path for point in job.points if _is_gone(path := run.point(point.name))]
    if gone:
        (folder / FOLDED_FILE).unlink(missing_ok=True)
    for path in gone:
        path.mkdir(parents=True, exist_ok=True)
        (path / METRICS_FILE).unlink(missing_ok=True)


def _is_gone(point: Path) -> bool:
    """Tell whether a point's folder is gone, or the file that the metrics beside it were made of."""
    if not (point / METRICS_FILE).exists():
        return not point.exists()
    file = point / "cache.sqlite"
    return not file.exists() or not file.stat().st_size


def _last_counts(run: RunFolder, spec: PointSpec) -> PointCounts:
    """Return a point's counts as they were folded last: all that one can do who may only read."""
    metrics = run.point(spec.name) / METRICS_FILE
    if not metrics.exists():
        return PointCounts(spec.expected, 0, 0)
    return read_file(metrics, PointCounts, REMAKE)


def logs_of(job_folder: Path) -> list[Path]:
    """Return the records of a job's attempts, oldest first."""
    found = [path for path in job_folder.glob(f"*/{RECORDS_FILE}") if path.parent.name.isdigit()]
    return sorted(found, key=lambda path: int(path.parent.name))


def _fold_job(run: RunFolder, folder: Path, job: Job) -> None:
    """Add what the attempts have written since the last fold to the files of their points."""
    mark = folder / FOLDED_FILE
    before = _folded(mark)
    ends = _still_there(folder, before)
    with _Points(run, job) as points:
        for log in logs_of(folder):
            number = log.parent.name
            fresh = read_records(log, ends.get(number, 0))
            while batch := list(islice(fresh, _FOLD)):
                for index, records in by_point([record for _, _, record in batch]).items():
                    if index not in points:
                        raise _stray_record(job, log, batch, index)
                    points.add(index, records, int(number))
                ends[number] = batch[-1][1]
    if ends != before:
        # Behind the points' own commits: if this is lost, the same records are added once more.
        write_file(mark, msgspec.json.encode(ends))


def _stray_record(job: Job, log: Path, batch: Iterable[tuple[int, int, Record]], index: int) -> UserError:
    """Return the error for a record of a point that the job doesn't have."""
    start = next(start for start, _, record in batch if record.point == index)
    return damaged_record(log, start, f"it is of point {index}, which {job.name} doesn't have")


def _still_there(folder: Path, ends: Mapping[str, int]) -> dict[str, int]:
    """Return up to where attempts are folded, and tell of records that were folded and are gone.

    What is left of an attempt's records is folded again, in case it is the mark that is wrong.
    """
    there = {}
    for number, end in ends.items():
        log = folder / number / RECORDS_FILE
        if log.is_file() and log.stat().st_size >= end:
            there[number] = end
        else:
            notice(f"{log} is gone or cut short: the points keep what was folded of it")
    return there


def _folded(mark: Path) -> dict[str, int]:
    """Return up to where each attempt is folded; from the start, where that is no longer told."""
    if not mark.exists():
        return {}
    try:
        return read_file(mark, dict[str, _Bytes], REMAKE)
    except UserError:
        notice(f"{mark} is damaged and made anew: all records are folded again")
        return {}


class _Points:
    """The files of a job's points, of which few are open at once; leaving commits them."""

    def __init__(self, run: RunFolder, job: Job) -> None:
        self._files = {point.index: run.point(point.name) / "cache.sqlite" for point in job.points}
        self._open: dict[int, PointRecords] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for index in list(self._open):
            self._close(index, commit=kind is None)

    def __contains__(self, index: int) -> bool:
        return index in self._files

    def add(self, index: int, records: list[Record], attempt: int) -> None:
        """Add an attempt's records to a point."""
        if index not in self._open:
            while len(self._open) >= _OPEN:
                self._close(next(iter(self._open)), commit=True)
            self._open[index] = PointRecords(self._files[index])
        self._open[index].add(records, attempt=attempt)

    def _close(self, index: int, *, commit: bool) -> None:
        with self._open.pop(index) as point:
            if commit:
                point.commit()


def _refresh(run: RunFolder, spec: PointSpec, sharing: Sharing) -> PointCounts:
    """Bring what is made of a point's records up to date: results, metrics, the shared cache."""
    folder = run.point(spec.name)
    file = folder / "cache.sqlite"
    if not file.exists():
        return PointCounts(spec.expected, 0, 0)
    experiment = spec.experiment()
    fault = ""
    with PointRecords(file) as records:
        # First, and whatever becomes of the rest: what was paid for is there for other runs.
        if experiment.fills_cache:
            sharing.add(file, records, replace=experiment.cache == "refresh")
        version = records.mark("changed")
        made = records.mark("metrics") != -1 or (folder / METRICS_FILE).exists()
        stale = version != records.mark("exported") or not made
        damaged = [] if stale else damaged_files(folder, records)
        if experiment.task == "embed" and not stale:
            damaged += damaged_parts(folder, records)
        for path in damaged:
            notice(f"{path} is gone or damaged, and made anew")
        if stale or damaged:
            fault = _vectors_fault(folder, experiment, records)
            export(folder, spec, records, fault)
            note_exported(folder, records)
            if not fault:
                records.set_mark("exported", version)
                records.commit()
        counts = records.counts()
        served = records.mark("served")
    return PointCounts(spec.expected, counts.get(OK, 0), counts.get(ERROR, 0), served, fault)


def _vectors_fault(folder: Path, experiment: Experiment, records: PointRecords) -> str:
    """Write a point's vectors, if it has any; return why they could not be written."""
    if experiment.task == "embed":
        try:
            export_vectors(folder, records, experiment.output.dtype)
        except RunnerError as error:
            return str(error)
    return ""
