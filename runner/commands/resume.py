"""Ask what a run is missing, as the run was planned; answered rows are never asked again.

runner resume RUN           all that is missing; cancelled points are passed over
runner resume RUN POINT     the same, and a point that was cancelled is taken up again

A resume takes no overrides: what should change is a new run, which the cache makes cheap.
Points that --skip-refused left out of the run are listed and passed over: they take a new run too.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from rich.text import Text

from runner.commands.arguments import typed
from runner.commands.console import console
from runner.commands.follow import resumable
from runner.commands.launchable import also, check_open_files, without_server
from runner.commands.launching import launch_and_show
from runner.commands.pointed import add_run_and_point, point_name, run_and_point
from runner.commands.report import print_outcome, print_refused
from runner.config import Point
from runner.engines.fitness import engine_obstacles
from runner.engines.registry import engine_kinds
from runner.errors import ConfigError, UserError
from runner.fold import PointCounts, fold_run
from runner.identity import require_same_model
from runner.inputs import check_code, check_inputs
from runner.jobs import Job, PointSpec
from runner.launch import job_states
from runner.outcome import run_outcome
from runner.refusals import together
from runner.resolved import check_whole, read_refused
from runner.runs import CANCELLED, RETRY_FINAL, RunFolder
from runner.start import jobs_of, serve_cached, unfinished, unfinished_points
from runner.values import count


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_run_and_point(parser, default="last")
    parser.add_argument("overrides", nargs="*", help=argparse.SUPPRESS)
    parser.add_argument("--retry-final", action="store_true", help="ask rows again whose error was final")
    parser.add_argument("--wait", action="store_true", help="follow the jobs to their end on Slurm too")


def main(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    words = [word for word in (arguments.run, arguments.point, *arguments.overrides) if word is not None]
    if given := [word for word in words if _is_override(word)]:
        raise UserError(
            f"resume takes no overrides (given: {' '.join(given)}): a run goes on as it was planned\n"
            "    for a new run, in which what is unchanged comes from the cache: runner run FILE key=value"
        )
    if arguments.overrides:
        raise UserError(f"resume takes one run, and one of its points (given: {' '.join(words)})")
    run, point = run_and_point(arguments)
    check_whole(run)
    with ExitStack() as held:
        held.enter_context(run.launching("resume"))
        _refuse_living(run)
        with resumable(run):
            jobs = _resume(run, point, retry_final=arguments.retry_final)
            if not jobs:
                return print_outcome(run_outcome(run))
            return launch_and_show(run, jobs, held, wait=arguments.wait)


def _is_override(word: str) -> bool:
    """Tell an override from a point's name, which may hold an equals sign too and begins with its index."""
    key, equals, _ = word.partition("=")
    return bool(equals) and not key.rpartition("/")[2][:1].isdecimal()


@contextmanager
def _taken_up(run: RunFolder, given: str | None) -> Iterator[None]:
    """Have a point that was cancelled count as wanted again; it is as before if that comes to nothing.

    Raises:
        UserError: there is no such point, or it isn't cancelled.
    """
    if given is None:
        yield
        return
    name = point_name(run, jobs_of(run), given)
    if not _cancelled(run, name):
        raise UserError(
            f"point {name} of {run.name} is not cancelled\n"
            f"    what any such point is missing is asked for by: runner resume {typed(run)}"
        )
    marker = run.point(name) / CANCELLED
    marker.unlink(missing_ok=True)
    with ExitStack() as undoing:
        undoing.callback(marker.touch)
        yield
        undoing.pop_all()


def _resume(run: RunFolder, point: str | None, *, retry_final: bool) -> list[Job]:
    """Have the cache complete what it can; return the jobs that go on with the rest, of which it tells."""
    with _taken_up(run, point):
        return _to_be_resumed(run, retry_final=retry_final)


def _to_be_resumed(run: RunFolder, *, retry_final: bool) -> list[Job]:
    before = fold_run(run)
    _check_inputs(run, unfinished(run, before, retry_final=retry_final))
    counts = _served(run, before)
    jobs = unfinished(run, counts, retry_final=retry_final)
    out = console()
    if not jobs:
        served = sum(counts[name].ok - one.ok for name, one in before.items())
        cached = f"; {count(served, 'result')} came from the cache" if served else ""
        left = sum(one.missing for name, one in counts.items() if _cancelled(run, name))
        but = f" but {count(left, 'result')} of cancelled points" if left else ""
        out.print(f"{run.name}: nothing is missing{but}{cached}")
        return []
    _check_engines(run, jobs)
    lacking = (unfinished_points(run, job, counts, retry_final=retry_final) for job in jobs)
    _check_servers(run, [spec for specs in lacking for spec in specs])
    for job in jobs:
        marker = run.job(job.name) / RETRY_FINAL
        marker.touch() if retry_final else marker.unlink(missing_ok=True)
    what = _what(run, jobs, counts, retry_final=retry_final)
    out.print(Text.assemble("resuming ", (run.name, "bold"), f": {what}"))
    print_refused(out, run, read_refused(run), indent="  ")
    return jobs


def _check_inputs(run: RunFolder, jobs: Sequence[Job]) -> None:
    """Refuse jobs whose rows or model files are no longer what they were at launch, copied or not.

    Raises:
        UserError: names the first.
    """
    checked: set[tuple[str, ...]] = set()
    models: set[bytes] = set()
    kinds = engine_kinds()
    for spec in (spec for job in jobs for spec in job.points):
        copies = (spec.dataset.path, *spec.copies.values())
        if copies not in checked:
            checked.add(copies)
            check_inputs(run.path, spec)
        check_code(spec)
        model = b"".join(spec.scope.canonical)
        if model not in models:
            models.add(model)
            one = spec.experiment(run.path)
            require_same_model(one.model, one.engine, kinds[one.engine.kind], spec.scope)


def _check_engines(run: RunFolder, jobs: Sequence[Job]) -> None:
    """Refuse what would stop the jobs' engines here, such as a key that is not set.

    Raises:
        ConfigError: all that would.
        UserError: they may not hold as many files open as they need.
    """
    experiments = {job.name: job.points[0].experiment(run.path) for job in jobs}
    kinds = engine_kinds()
    faults = [
        fault for one in experiments.values() for fault in engine_obstacles(one, kinds[one.engine.kind])
    ]
    if faults:
        raise ConfigError(faults)
    for job in jobs:
        check_open_files(job)


def _check_servers(run: RunFolder, specs: Sequence[PointSpec]) -> None:
    """Refuse points whose server can't be there, with their names and how to go on without them.

    Raises:
        ConfigError: there are some.
    """
    points = [Point(one.index, one.axes, one.experiment(run.path), one.notes) for one in specs]
    absent = without_server(points)
    if not absent:
        return
    faults = together(absent, len(points))
    if len(absent) < len(points):
        which, point = ("it", str(absent[0].index)) if len(absent) == 1 else ("them", "POINT")
        faults = also(faults, f"or go on without {which}: runner cancel {typed(run)} {point}")
    raise ConfigError(faults)


def _served(run: RunFolder, counts: dict[str, PointCounts]) -> dict[str, PointCounts]:
    """Have the cache complete what it can; return the counts after that."""
    missing = [name for name, one in counts.items() if one.missing and not _cancelled(run, name)]
    return fold_run(run) if serve_cached(run, missing) else counts


def _cancelled(run: RunFolder, point: str) -> bool:
    return (run.point(point) / CANCELLED).exists()


def _refuse_living(run: RunFolder) -> None:
    living = [state for state in job_states(run.path).values() if state.active]
    if not living:
        return
    named = ", ".join(
        f"{one.name} ({one.state}" + (f", {one.reason})" if one.reason else ")") for one in living
    )
    raise UserError(
        f"{run.name} is under way: {named}\n"
        f"    follow it: runner status {typed(run)} --watch; or stop it first: runner cancel {typed(run)}"
    )


def _what(run: RunFolder, jobs: Sequence[Job], counts: dict[str, PointCounts], *, retry_final: bool) -> str:
    """Say what is asked, of all that the run is to have; cancelled points count neither way."""
    wanted = [one for name, one in counts.items() if not _cancelled(run, name)]
    expected, missing = sum(one.expected for one in wanted), sum(one.missing for one in wanted)
    errors = sum(one.errors for one in wanted) if retry_final else 0
    again = f" and {count(errors, 'final error')} to ask again" if errors else ""
    return f"{missing:,} of {count(expected, 'result')} missing{again}, {count(len(jobs), 'job')}"
