"""Runs and their points as they are named on the command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from runner.commands.arguments import add_runs, named_run, unknown
from runner.errors import UserError, one_line
from runner.jobs import Job
from runner.resolved import read_refused
from runner.runs import RunFolder


def add_run_and_point(parser: argparse.ArgumentParser, *, default: str | None = None) -> None:
    """Take the name of a run and, if wanted, of one of its points.

    Args:
        parser: is given the arguments.
        default: the run where none is named; left out means that one must be.
    """
    given = {"last": " (default: last)", "": " (default: the only one with pending or running jobs)"}
    told = "run folder, its name, a unique prefix or last; or RUN/POINT"
    if default is None:
        parser.add_argument("run", help=told)
    else:
        parser.add_argument("run", nargs="?", default=default, help=told + given[default])
    parser.add_argument("point", nargs="?", help="name or index of one point")
    add_runs(parser)


def run_and_point(arguments: argparse.Namespace) -> tuple[RunFolder, str | None]:
    """Return the run and the point that are meant; both may stand in one path.

    Raises:
        UserError: there is no such run.
    """
    text, point = arguments.run, arguments.point
    try:
        return named_run(arguments, text), point
    except UserError:
        head, _, tail = text.rstrip("/").rpartition("/")
        if point is not None or not head:
            raise
        try:
            return named_run(arguments, head.removesuffix("/points")), tail
        except UserError:
            pass
        raise


def point_name(run: RunFolder, jobs: Sequence[Job], given: str) -> str:
    """Return the name of the point that a name or an index means.

    Raises:
        UserError: there is no such point; of one that was left out of the run, why.
    """
    points = sorted((point for job in jobs for point in job.points), key=lambda point: point.index)
    for point in points:
        if given == point.name or (given.isdecimal() and int(given) == point.index):
            return point.name
    for refusal in read_refused(run):
        if given.isdecimal() and int(given) == refusal.index:
            raise UserError(
                f"point {refusal.index} of {run.name} was refused and left out: "
                f"{one_line(refusal.faults[0])}\n    fix that, then run the same command again"
            )
    raise UserError(unknown(f"point in {run.name} named", given, [point.name for point in points]))
