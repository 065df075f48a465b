"""What a run prints: what it is about to do, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from runner.commands.advice import advice
from runner.commands.agreement import print_agreement
from runner.commands.arguments import typed
from runner.commands.console import cell, console, print_table, shown, table
from runner.commands.lines import describe, print_failures, retried
from runner.commands.planned import MANY, print_notes
from runner.commands.scores import score_columns
from runner.errors import one_line
from runner.jobs import Job
from runner.outcome import UNDER_WAY, JobOutcome, PointOutcome, RunOutcome
from runner.plan import Plan
from runner.resolved import Refusal, read_refused
from runner.runs import RunFolder
from runner.spec import gpus_of
from runner.survey import PointSurvey
from runner.values import count

RESULTS_FILE = "results.jsonl"

_FINE = UNDER_WAY | {"complete", "not_submitted"}
_ENDED = {
    "length": "cut off at max_tokens or at the end of the model's context",
    "content_filter": "withheld by a content filter",
}
"""What a finish reason means for an answer that is scored all the same."""
_TIMES = {"first_token": "first token", "inter_token": "inter-token"}
"""Names in metrics.json of the times of answers in pieces -> what stands over their medians."""
_MANY = 5
"""Jobs that went wrong, beyond this number, are only counted."""


def print_launch(
    plan: Plan,
    run: RunFolder,
    jobs: Sequence[Job],
    surveys: Mapping[str, PointSurvey],
    *,
    verbose: bool = False,
) -> None:
    """Say what is about to run, and where it is written; with *verbose* every note whole."""
    out = console()
    what = count(len(plan.points), "point")
    known = _known(surveys, asking=bool(jobs))
    will = _jobs(jobs) if jobs else f"{known}, 0 requests"
    out.print(Text.assemble((plan.name, "bold"), f"  {what}, {will}  {shown(run.path)}"))
    print_notes(out, plan, whole=verbose)
    print_refused(out, run, read_refused(run), indent="  ")
    if jobs and known:
        out.print(f"  {known}")


def _known(surveys: Mapping[str, PointSurvey], *, asking: bool) -> str:
    """Say how many answers are cached and can't be rendered; nothing of a run that is *asking* for all."""
    names = ("hits", "unrenderable", "wanted")
    hits, failing, wanted = (sum(getattr(one, name) for one in surveys.values()) for name in names)
    whole = all(one.whole for one in surveys.values())
    cached = f"{hits:,} of {count(wanted, 'answer')} cached" if whole else f"{count(hits, 'answer')} cached"
    if failing:
        return f"{cached}, {failing:,} can't be rendered"
    return "100 % cached" if not asking else cached if hits else ""


def _jobs(jobs: Sequence[Job]) -> str:
    gpus = sum(gpus_of(job.points[0].experiment().cluster, job.devices) for job in jobs)
    return count(len(jobs), "job") + (f", {count(gpus, 'GPU')}" if gpus else "")


def print_outcome(outcome: RunOutcome) -> int:
    """Print the results, what went wrong, the next command, and what agrees; return the exit code."""
    out = console()
    print_results(out, outcome.points)
    _print_counts(out, outcome)
    print_failures(out, (failure for point in outcome.points for failure in point.failures))
    for point in outcome.points:
        if point.fault:
            out.print(f"point {point.name}: {point.fault}", style="red")
    wrong = [job for job in outcome.jobs if job.state not in _FINE]
    for job in wrong[:_MANY]:
        _print_job(out, job)
    if len(wrong) > _MANY:
        name = typed(RunFolder(Path(outcome.path)))
        out.print(f"... and {count(len(wrong) - _MANY, 'more job')}: runner status {name} --json")
    for warning in outcome.warnings:
        out.print(f"warning: {warning}", style="yellow")
    _print_left_out(out, outcome)
    _print_next(out, outcome)
    print_agreement(outcome)
    return outcome.exit_code


def print_refused(out: Console, run: RunFolder, refused: Sequence[Refusal], indent: str = "") -> None:
    """Print which points a run was begun without and why, a line each."""
    for refusal in refused[:MANY]:
        first, *others = refusal.faults
        more = f" (and {count(len(others), 'more fault')})" if others else ""
        out.print(f"{indent}refused: {one_line(first)}{more}", style="yellow")
    if len(refused) > MANY:
        rest = f"... and {count(len(refused) - MANY, 'more refused point')}"
        out.print(f"{indent}{rest}: runner status {typed(run)} --json", style="yellow")


def _print_left_out(out: Console, outcome: RunOutcome) -> None:
    number = len(outcome.refused)
    if not number:
        return
    print_refused(out, RunFolder(Path(outcome.path)), outcome.refused)
    which = "it" if number == 1 else "them"
    out.print(
        f"left out: {number:,} of {count(number + len(outcome.points), 'point')}; a resume passes {which} "
        "over: fix that, then run the same command again (what is answered comes from the cache)"
    )


def print_results(out: Console, points: Sequence[PointOutcome]) -> None:
    """Print the table of results, and below it which answers were cut and what scorers found nothing in."""
    print_table(out, _results_table(points))
    for reason, ended in _ENDED.items():
        if number := sum(point.finish.get(reason, 0) for point in points):
            out.print(f"{count(number, 'answer')} {ended}; results.jsonl says which: finish", style="yellow")
    _print_cached_times(out, points)
    for name in dict.fromkeys(name for point in points for name in point.unmatched):
        found = [point.unmatched[name] for point in points if name in point.unmatched]
        scored = count(sum(point.ok for point in points if name in point.scores), "answer")
        said = f"found nothing to compare in {sum(one.count for one in found):,} of {scored}"
        out.print(f"scorer {name}: {said}, such as row {found[0].id}: {found[0].text!r}", style="yellow")


def _print_cached_times(out: Console, points: Sequence[PointOutcome]) -> None:
    """Say which times are not of this run."""
    times = [point.times[name] for point in points for name in _TIMES if name in point.times]
    counted = [
        point.times.get("first_token") or next(iter(point.times.values())) for point in points if point.times
    ]
    cached, total = (int(sum(one.get(name, 0) for one in counted)) for name in ("cached", "responses"))
    if any(one.get("cached") for one in times):
        what = (
            f"{cached:,} of {count(total, 'response')}"
            if cached < total
            else f"all {count(total, 'response')}"
        )
        out.print(f"times: {what} cached, with the times of the run that sent the request", style="yellow")


def _results_table(points: Sequence[PointOutcome]) -> Table:
    """Return a table with a row a point: its axes, counts, and each score with its uncertainty."""
    axes = list(dict.fromkeys(axis for point in points for axis in point.axes))
    names, scores = score_columns(points)
    wrong = [name for name in ("errors", "missing") if any(getattr(point, name) for point in points)]
    times = [name for name in _TIMES if any(name in point.times for point in points)]
    made = table(axes or ["point"], ["answered", *wrong, *names, *(_TIMES[name] for name in times)])
    for point, scored in zip(points, scores, strict=True):
        cells = [cell(point.axes.get(axis)) for axis in axes] or [point.name]
        cells[-1] += " (cancelled)" if point.cancelled else ""
        cells += [f"{getattr(point, name):,}" for name in ("ok", *wrong)]
        cells += scored
        cells += [_median(point.times.get(name)) for name in times]
        made.add_row(*cells, style="dim" if point.cancelled else "")
    return made


def _median(times: Mapping[str, float] | None) -> str:
    return f"{times['median'] * 1000:,.1f} ms" if times else "-"


def _print_counts(out: Console, outcome: RunOutcome) -> None:
    """Print what the results cost: each was cached, shared, or came of requests of its own."""
    spent = [job.spent for job in outcome.jobs]
    requests = count(sum(one.requests for one in spent), "request")
    retries = retried(spent)
    cached = sum(one.cached for one in spent) + sum(point.served for point in outcome.points)
    shared = sum(one.shared for one in spent)
    total = sum(point.expected for point in outcome.points)
    errors = sum(point.errors for point in outcome.points)
    state = f"complete with {count(errors, 'final error')}" if outcome.state == "errors" else outcome.state
    if total and cached == total:
        out.print(f"{state}: 100 % cached, {requests}")
        return
    requests = f"{requests}, {retries}" if retries else requests
    tokens, uncounted = sum(one.completion_tokens for one in spent), sum(one.uncounted for one in spent)
    said = [requests, _generated(tokens, uncounted)]
    free = [f"{number:,} {how}" for number, how in ((cached, "cached"), (shared, "shared")) if number]
    if free:
        said.append(f"{' and '.join(free)} of {count(total, 'result')}")
    out.print(f"{state}: {', '.join(said)}")


def _generated(tokens: int, uncounted: int) -> str:
    """Say how many tokens were generated, where the server reports them for all responses or for some."""
    if not uncounted:
        return f"{count(tokens, 'token')} generated"
    if not tokens:
        return "an unknown number of tokens generated"
    return f"at least {count(tokens, 'token')} generated (unknown for {count(uncounted, 'response')})"


def _print_job(out: Console, job: JobOutcome) -> None:
    out.print(f"job {job.name}: {job.state}" + (f": {job.reason}" if job.reason else ""), style="red")
    if job.log is not None:
        out.print(f"  log: {shown(Path(job.log))}")


def _print_next(out: Console, outcome: RunOutcome) -> None:
    out.print(f"run:     {shown(Path(outcome.path))}")
    points = Path(outcome.path) / "points"
    written = [point for point in outcome.points if point.ok or point.errors]
    if len(outcome.points) == 1 and written:
        out.print(f"results: {shown(points / written[0].name / RESULTS_FILE)}")
    elif written:
        out.print(f"results: {shown(points)}/*/{RESULTS_FILE}")
    if line := _taken_up(outcome):
        out.print(line)
    told = advice(outcome)
    for text in told.fix:
        out.print(f"fix:     {text}")
    if told.command is not None:
        out.print(f"{'then' if told.fix else 'next'}:    {told.command}")


def _taken_up(outcome: RunOutcome) -> str:
    """Say which points were cancelled that lack results, and how to have them after all."""
    lacking = [point for point in outcome.points if point.cancelled and point.missing]
    if not lacking or outcome.state in UNDER_WAY:
        return ""
    index = lacking[0].name.partition("-")[0]
    which = f"point {index} is" if len(lacking) == 1 else f"{len(lacking)} points are"
    missing = count(sum(point.missing for point in lacking), "result")
    name = typed(RunFolder(Path(outcome.path)))
    return f"{which} cancelled, {missing} missing; to take one up again: runner resume {name} {index}"


def jobs_table(jobs: Sequence[JobOutcome]) -> Table:
    """Return a table with a row a job: its state, how far it is, why."""
    slurm = any(job.slurm for job in jobs)
    made = table(["job", "state", *(["slurm"] if slurm else []), "results", "what"])
    for job in jobs:
        cells = [job.name, job.state, *([job.slurm or ""] if slurm else [])]
        cells.append(f"{job.progress.done:,}/{job.progress.total:,}" if job.progress.total else "")
        if job.state == "not_submitted":
            cells[1] = "not started"
        made.add_row(
            *cells, describe(job, brief=job.state not in UNDER_WAY), style="" if job.state in _FINE else "red"
        )
    return made
