"""What a run prints: what it is about to do, and what came of it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from runner.commands.console import cell, console, count, print_table, shown, table
from runner.jobs import Job
from runner.outcome import JobOutcome, PointOutcome, RunOutcome
from runner.plan import Plan
from runner.runs import RunFolder
from runner.survey import PointSurvey
from runner.values import Json

_GOOD = frozenset({"complete"})
_MANY = 3
"""Jobs beyond this number are summed up in one line."""


def print_launch(plan: Plan, run: RunFolder, jobs: Sequence[Job], surveys: Mapping[str, PointSurvey]) -> None:
    """Say what is about to run, where it is written, and on Slurm what to type next."""
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
    if jobs and all(planned.experiment.cluster.kind == "slurm" for planned in plan.points):
        for verb in ("status", "logs", "cancel", "resume"):
            out.print(f"  runner {verb} {run.name}")


def _jobs(jobs: Sequence[Job]) -> str:
    if not jobs:
        return "100 % cached, 0 requests"
    devices = sum(job.devices for job in jobs)
    return count(len(jobs), "job") + (f", {count(devices, 'GPU')}" if devices else "")


def print_outcome(outcome: RunOutcome, surveys: Mapping[str, PointSurvey] | None = None) -> int:
    """Print the table of results, what went wrong, and the next command; return the exit code."""
    out = console()
    print_table(out, results_table(outcome.points))
    _print_counts(out, outcome, surveys or {})
    for job in outcome.jobs:
        if job.state not in _GOOD | {"not_submitted"}:
            _print_job(out, job)
    _print_next(out, outcome)
    return outcome.exit_code


def results_table(points: Sequence[PointOutcome]) -> Table:
    """Return a table with a row a point: its axes, counts, and each score with its standard error."""
    axes = list(dict.fromkeys(axis for point in points for axis in point.axes))
    scores = _scores(points)
    failed = any(point.errors or point.missing for point in points)
    names = [scorer if report == "mean" else f"{scorer} {report}" for scorer, report in scores]
    made = table(axes or ["point"], ["rows", *(["errors", "missing"] if failed else []), *names])
    for point in points:
        cells = [cell(point.axes.get(axis)) for axis in axes] or [point.name]
        cells += [f"{point.ok}"] + ([str(point.errors), str(point.missing)] if failed else [])
        cells += [_score(point.scores.get(scorer, {}).get(report)) for scorer, report in scores]
        made.add_row(*cells, style="dim" if point.cancelled else "")
    return made


def _scores(points: Sequence[PointOutcome]) -> list[tuple[str, str]]:
    """Return every (scorer, metric) that any point reports."""
    found = ((name, metric) for point in points for name, metrics in point.scores.items() for metric in metrics)
    return list(dict.fromkeys(found))


def _score(score: Json) -> str:
    if not score or score.get("value") is None:
        return "-"
    stderr = score.get("stderr")
    return f"{score['value']:.3f}" + (f" ± {stderr:.3f}" if stderr is not None else "")


def _print_counts(out: Console, outcome: RunOutcome, surveys: Mapping[str, PointSurvey]) -> None:
    requests = sum(job.progress.requests for job in outcome.jobs)
    cached = sum(job.progress.cached for job in outcome.jobs) + sum(s.served for s in surveys.values())
    tokens = sum(job.progress.completion_tokens for job in outcome.jobs)
    total = sum(point.expected for point in outcome.points)
    share = f" ({100 * cached / total:.0f} % cached)" if total else ""
    out.print(f"{outcome.state}: {requests} requests, {cached} of {total} results cached{share}, {tokens} tokens generated")


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
    if any(point.missing for point in outcome.points if not point.cancelled) and outcome.state not in {"running", "pending"}:
        out.print(f"next:    runner resume {outcome.name}")
    elif outcome.state == "errors":
        out.print(f"next:    runner resume {outcome.name} --retry-final")
    elif outcome.state == "complete" and len(outcome.points) == 1:
        out.print(f"next:    runner run {shlex.quote(outcome.name.split('/')[0])} -m sampling.temperature=0,1,2,3")
