"""A point's files from what its attempts recorded: repeatable, interruptible, under the folder's lock."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby, islice
from pathlib import Path
from typing import BinaryIO

import msgspec

from runner.cache import add_responses
from runner.jobs import Job, PointSpec, read_job
from runner.points import PointRecords, by_point
from runner.questions import ResultLine
from runner.records import ERROR, OK, RECORDS_FILE, STEP, read_records
from runner.runs import RunFolder, write_file
from runner.scoring.base import Score
from runner.scoring.metrics import Metrics
from runner.values import Json

_FOLD = 10_000
"""Records folded in one go: keys are random, so that each commit rewrites most of an index."""

_decode = msgspec.json.Decoder(ResultLine)


class PointCounts(msgspec.Struct, frozen=True):
    """Results of a point: expected, answered, failed for good; the rest is missing.

    ``served`` are those of the answered that the cache completed before any job was launched.
    """

    expected: int
    ok: int
    errors: int
    served: int = 0

    @property
    def missing(self) -> int:
        """Results that a resume would ask for."""
        return self.expected - self.ok - self.errors


def fold_run(run: RunFolder) -> dict[str, PointCounts]:
    """Fold every attempt of a run into its points' files; return the counts by point.

    What is folded already costs next to nothing, so that any command may call this.
    """
    counts = {}
    with run.lock():
        for folder in run.jobs:
            job = read_job(folder)
            _fold_job(run, folder, job)
            for point in job.points:
                counts[point.name] = _refresh(run, point)
    return counts


def attempts(job_folder: Path) -> list[Path]:
    """Return the records of a job's attempts, oldest first."""
    found = [path for path in job_folder.glob(f"*/{RECORDS_FILE}") if path.parent.name.isdigit()]
    return sorted(found, key=lambda path: int(path.parent.name))


def _fold_job(run: RunFolder, folder: Path, job: Job) -> None:
    """Add what the attempts have written since the last fold to the files of their points."""
    mark = folder / "folded.json"
    ends: dict[str, int] = msgspec.json.decode(mark.read_bytes()) if mark.exists() else {}
    names = {point.index: point.name for point in job.points}
    for log in attempts(folder):
        number = log.parent.name
        fresh = read_records(log, ends.get(number, 0))
        while batch := list(islice(fresh, _FOLD)):
            for index, records in by_point(record for _, _, record in batch).items():
                with PointRecords(run.point(names[index]) / "cache.sqlite") as point:
                    point.add(records)
            # Behind the points' own commits: if this is lost, the same records are added once more.
            ends[number] = batch[-1][1]
            write_file(mark, msgspec.json.encode(ends))


def _refresh(run: RunFolder, spec: PointSpec) -> PointCounts:
    """Bring what is made of a point's records up to date: results, metrics, the shared cache."""
    folder = run.point(spec.name)
    file = folder / "cache.sqlite"
    if not file.exists():
        return PointCounts(spec.expected, 0, 0)
    experiment = spec.experiment()
    with PointRecords(file) as records:
        version = records.mark("changed")
        if version != records.mark("exported") or not (folder / "metrics.json").exists():
            export(folder, spec, records)
            records.set_mark("exported", version)
        if experiment.fills_cache and (end := records.last_response()) > (after := records.mark("shared")):
            add_responses(run.cache, file, after=after, replace=experiment.cache == "refresh")
            records.set_mark("shared", end)
        counts = records.counts()
        served = records.mark("served")
    return PointCounts(spec.expected, counts.get(OK, 0), counts.get(ERROR, 0), served)


def export(folder: Path, spec: PointSpec, records: PointRecords) -> None:
    """Write results.jsonl in dataset order and metrics.json, in one pass over the results."""
    experiment = spec.experiment()
    samples = experiment.samples
    metrics = {name: Metrics(scorer.report, samples) for name, scorer in experiment.scorers.items()}
    temporary = folder / ".results.jsonl.tmp"
    with temporary.open("wb") as out:
        for row, group in groupby(_written(records, out), key=lambda line: line.id):
            lines = {line.sample: line for line in group}
            for name, metric in metrics.items():
                metric.add(row, [_score(lines.get(sample), name) for sample in range(samples)])
    temporary.replace(folder / "results.jsonl")
    counts = records.counts()
    summary: dict[str, Json] = {
        "point": spec.name,
        "axes": spec.axes,
        "step": STEP,
        "expected": spec.expected,
        "ok": counts.get(OK, 0),
        "errors": counts.get(ERROR, 0),
        "missing": spec.expected - counts.get(OK, 0) - counts.get(ERROR, 0),
        "scores": {name: metric.result() for name, metric in metrics.items()},
    }
    write_file(folder / "metrics.json", msgspec.json.format(msgspec.json.encode(summary), indent=1))


def _written(records: PointRecords, out: BinaryIO) -> Iterator[ResultLine]:
    for line in records.lines():
        out.write(line + b"\n")
        yield _decode.decode(line)


def _score(line: ResultLine | None, scorer: str) -> Score | None:
    score = None if line is None else line.scores.get(scorer)
    return None if score is None else Score(score.value, score.answer)
