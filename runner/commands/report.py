"""What a run prints: what it is about to do, and what came of it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from runner.commands.arguments import default_runs, typed
from runner.commands.console import cell, console, count, print_table, shown, table
from runner.commands.lines import describe
from runner.engines.registry import engine_kinds
from runner.fold import Failure
from runner.jobs import Job, read_job
from runner.outcome import UNDER_WAY, JobOutcome, PointOutcome, RunOutcome
from runner.plan import Plan
from runner.runs import RunFolder
from runner.shipped import shipped
from runner.survey import PointSurvey
from runner.values import Json

_FINE = UNDER_WAY | {"complete", "not_submitted"}
_MANY = 5
"""Jobs that went wrong, beyond this number, are only counted."""


def print_launch(plan: Plan, run: RunFolder, jobs: Sequence[Job], surveys: Mapping[str, PointSurvey]) -> None:
    """Say what is about to run, and where it is written."""
    out = console()
    what = count(len(plan.points), "point")
    out.print(Text.assemble((plan.name, "bold"), f"  {what}, {_jobs(jobs)}  {shown(run.path)}"))
    for note in dict.fromkeys(note for planned in plan.points for note in planned.notes):
        out.print(f"  {note}", style="dim")
    for point in plan.refused:
        out.print(f"  refused: {point.refused[0]}", style="yellow")
    served = sum(survey.hits for survey in surveys.values())
    if jobs and served:
        out.print(f"  {served} requests are cached")


def _jobs(jobs: Sequence[Job]) -> str:
    if not jobs:
        return "100 % cached, 0 requests"
    devices = sum(job.devices for job in jobs)
    return count(len(jobs), "job") + (f", {count(devices, 'GPU')}" if devices else "")


def print_outcome(outcome: RunOutcome) -> int:
    """Print the table of results, what went wrong, and the next command; return the exit code."""
    out = console()
    print_table(out, results_table(outcome.points))
    _print_counts(out, outcome)
    _print_failures(out, outcome.points)
    wrong = [job for job in outcome.jobs if job.state not in _FINE]
    for job in wrong[:_MANY]:
        _print_job(out, job)
    if len(wrong) > _MANY:
        name = typed(RunFolder(Path(outcome.path)))
        out.print(f"... and {count(len(wrong) - _MANY, 'more job')}: runner status {name}")
    _print_next(out, outcome)
    return outcome.exit_code


def results_table(points: Sequence[PointOutcome]) -> Table:
    """Return a table with a row a point: its axes, counts, and each score with its standard error."""
    axes = list(dict.fromkeys(axis for point in points for axis in point.axes))
    scores = _scores(points)
    wrong = [name for name in ("errors", "missing") if any(getattr(point, name) for point in points)]
    names = [scorer if report == "mean" else f"{scorer} {report}" for scorer, report in scores]
    made = table(axes or ["point"], ["answers", *wrong, *names])
    for point in points:
        cells = [cell(point.axes.get(axis)) for axis in axes] or [point.name]
        cells[-1] += " (cancelled)" if point.cancelled else ""
        cells += [f"{getattr(point, name):,}" for name in ("ok", *wrong)]
        cells += [_score(point.scores.get(scorer, {}).get(report)) for scorer, report in scores]
        made.add_row(*cells, style="dim" if point.cancelled else "")
    return made


def _scores(points: Sequence[PointOutcome]) -> list[tuple[str, str]]:
    """Return every (scorer, metric) that any point reports."""
    found = (
        (name, metric) for point in points for name, metrics in point.scores.items() for metric in metrics
    )
    return list(dict.fromkeys(found))


def _score(score: Json) -> str:
    if not score or score.get("value") is None:
        return "-"
    stderr = score.get("stderr")
    return f"{score['value']:.3f}" + (f" ± {stderr:.3f}" if stderr is not None else "")


def _print_counts(out: Console, outcome: RunOutcome) -> None:
    requests = sum(job.spent.requests for job in outcome.jobs)
    tokens = sum(job.spent.completion_tokens for job in outcome.jobs)
    cached = sum(job.spent.cached for job in outcome.jobs) + sum(p.served for p in outcome.points)
    total = sum(point.expected for point in outcome.points)
    if total and cached == total:
        out.print(f"{outcome.state}: 100 % cached, {count(requests, 'request')}")
        return
    asked = f"{count(requests, 'request')}, {count(tokens, 'token')} generated"
    out.print(f"{outcome.state}: {asked}" + (f", {cached:,} of {total:,} results cached" if cached else ""))


def _print_failures(out: Console, points: Sequence[PointOutcome]) -> None:
    """Print each class of failure once, with the first row that it met."""
    first: dict[str, Failure] = {}
    for failure in (failure for point in points for failure in point.failures):
        known = first.get(failure.kind)
        total = failure.count + (known.count if known else 0)
        first[failure.kind] = msgspec.structs.replace(known or failure, count=total)
    for failure in first.values():
        status = f"HTTP {failure.status}: " if failure.status else ""
        said = " ".join(f"{status}{failure.message}".split())
        out.print(f"  {failure.count:,} x {failure.kind}, such as row {failure.id}: {said}", style="red")


def _print_job(out: Console, job: JobOutcome) -> None:
    out.print(f"job {job.name}: {job.state}" + (f": {job.reason}" if job.reason else ""), style="red")
    if job.log is not None:
        out.print(f"  log: {shown(Path(job.log))}")


def _print_next(out: Console, outcome: RunOutcome) -> None:
    path = Path(outcome.path)
    if len(outcome.points) == 1:
        out.print(f"results: {shown(path / 'points' / outcome.points[0].name / 'results.jsonl')}")
    else:
        out.print(f"results: {shown(path / 'points')}/*/results.jsonl")
    if (command := next_command(outcome)) is not None:
        out.print(f"next:    {command}")


def next_command(outcome: RunOutcome) -> str | None:
    """Return what one would type after a run that ended as this one did."""
    name = typed(RunFolder(Path(outcome.path)))
    if outcome.state in UNDER_WAY:
        return f"runner status {name} --watch"
    if any(point.missing for point in outcome.points if not point.cancelled):
        return f"runner resume {name}"
    if outcome.state == "errors":
        return f"runner resume {name} --retry-final"
    if outcome.state == "complete" and len(outcome.points) == 1 and _as_shipped(Path(outcome.path)):
        return f"runner run {shlex.quote(_file(Path(outcome.path)))} -m sampling.temperature=0,1,2,3"
    return None


def _as_shipped(run: Path) -> bool:
    """Tell whether a file was run as it stands, on an engine of ours: then a sweep is the next step."""
    experiment = read_job(RunFolder(run).jobs[0]).points[0].experiment()
    plain = not (run / "overrides.txt").read_text() and run.parent.parent == default_runs()
    return plain and engine_kinds()[experiment.engine.kind].capabilities.local


def _file(run: Path) -> str:
    """Return the experiment file that a run was started from."""
    sources = msgspec.json.decode((run / "provenance.json").read_bytes())["sources"]
    file = Path(sources[0])
    ships = file.parent == shipped() / "experiments" and not file.is_relative_to(Path.cwd())
    return file.stem if ships else shown(file)


def jobs_table(jobs: Sequence[JobOutcome]) -> Table:
    """Return a table with a row a job: its state, how far it is, why."""
    slurm = any(job.slurm for job in jobs)
    made = table(["job", "state", *(["slurm"] if slurm else []), "results", "what"])
    for job in jobs:
        cells = [job.name, job.state, *([job.slurm or ""] if slurm else [])]
        cells.append(f"{job.progress.done:,}/{job.progress.total:,}" if job.progress.total else "")
        if job.state == "not_submitted":
            cells[1] = "not started"
        made.add_row(*cells, describe(job), style="" if job.state in _FINE else "red")
    return made
