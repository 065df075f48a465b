"""A point's files from what its attempts recorded: repeatable, interruptible, under the folder's lock."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import BinaryIO

import msgspec

from runner.cache import add_responses
from runner.jobs import STEP, PointSpec, read_job
from runner.questions import ResultLine
from runner.records import ERROR, OK, PointRecords
from runner.runs import RunFolder, write_file
from runner.scoring.base import Score
from runner.scoring.metrics import Metrics
from runner.values import Json

_decode = msgspec.json.Decoder(ResultLine)


class PointCounts(msgspec.Struct, frozen=True):
    """Results of a point: expected, answered, failed for good; the rest is missing."""

    expected: int
    ok: int
    errors: int

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
            for point in job.points:
                counts[point.name] = _fold_point(run, folder, point)
    return counts


def attempts(job_folder: Path) -> list[Path]:
    """Return the records of a job's attempts, oldest first."""
    found = [path for path in job_folder.glob("*/records.sqlite") if path.parent.name.isdigit()]
    return sorted(found, key=lambda path: int(path.parent.name))


def _fold_point(run: RunFolder, job_folder: Path, spec: PointSpec) -> PointCounts:
    folder = run.point(spec.name)
    file = folder / "cache.sqlite"
    sources = attempts(job_folder)
    if not sources and not file.exists():
        return PointCounts(spec.expected, 0, 0)
    with PointRecords(file) as records:
        for source in sources:
            records.fold(spec.index, f"{job_folder.name}/{source.parent.name}", source)
        version = records.mark("changed")
        if version != records.mark("exported") or not (folder / "metrics.json").exists():
            export(folder, spec, records)
            records.set_mark("exported", version)
        mode = spec.declared.get("cache", True)
        if mode is not False and (end := records.last_response()) > (after := records.mark("shared")):
            add_responses(run.cache, file, after=after, replace=mode == "refresh")
            records.set_mark("shared", end)
        counts = records.counts()
    return PointCounts(spec.expected, counts.get(OK, 0), counts.get(ERROR, 0))


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
