"""Show single results of a run: prompt, answer, target, scores, and what each took.

runner show                      the first results of the newest run
runner show RUN POINT --wrong    those of one point that a scorer gave less than 1
runner show RUN --id ID          every result of one row, in every point

Everything is read from the run folder, also while the run goes on; nothing is sent. The prompt is the request
that was sent. Where no response came, it is rendered anew from the run's own copies. Long texts are
shortened; --full shows all of them, and so does --json.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

from rich.console import Console

from runner.commands.arguments import typed, unknown
from runner.commands.console import console, print_json
from runner.commands.detail import as_json, print_detail
from runner.commands.pointed import add_run_and_point, point_name, run_and_point
from runner.details import Detail, PointDetails
from runner.errors import UserError
from runner.fold import PointCounts, fold_run
from runner.jobs import PointSpec
from runner.resolved import check_whole
from runner.results import ResultLine
from runner.runs import RunFolder
from runner.secrets import Secrets
from runner.start import jobs_of
from runner.values import count

_DEFAULT = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_run_and_point(parser, default="last")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--wrong", action="store_true", help="only results that a scorer gave less than 1")
    which.add_argument("--errors", action="store_true", help="only results with an error")
    which.add_argument("--id", metavar="ID", help="all results of the row with this id")
    parser.add_argument(
        "-n", type=int, metavar="N", help=f"how many results (default: {_DEFAULT}; with --id all)"
    )
    parser.add_argument("--logprobs", action="store_true", help="show the tokens' log probabilities too")
    parser.add_argument("--full", action="store_true", help="show long texts in full")
    parser.add_argument(
        "--json", action="store_true", help="print each result, its requests and responses as a line of JSON"
    )


def main(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    if arguments.n is not None and arguments.n < 1:
        raise UserError("-n takes a number from 1")
    run, given = run_and_point(arguments)
    arguments.point = given
    check_whole(run)
    jobs = jobs_of(run)
    specs = sorted((spec for job in jobs for spec in job.points), key=lambda spec: spec.index)
    if given is not None:
        name = point_name(run, jobs, given)
        specs = [spec for spec in specs if spec.name == name]
    if arguments.wrong and not any(spec.declared.get("scorers") for spec in specs):
        raise UserError(
            f"{run.name} has no scorers, so no result is wrong; runner show without --wrong shows all"
        )
    counts = fold_run(run)
    secrets = Secrets.of_environment(name for job in jobs for name in job.secret_env)
    with ExitStack() as stack:
        points = [stack.enter_context(PointDetails(run, spec, secrets)) for spec in specs]
        found = _of_row(run, points, arguments) if arguments.id is not None else _first(points, arguments)
        if arguments.json:
            for detail in found:
                print_json(secrets.mask(as_json(detail).decode()))
            return 0
        _print(run, specs, found, counts, arguments)
    return 0


def _of_row(
    run: RunFolder, points: Sequence[PointDetails], arguments: argparse.Namespace
) -> Iterator[Detail]:
    """Return the details of one row in all points.

    Raises:
        UserError: no point has such a row.
    """
    found = [detail for point in points for detail in point.of_row(arguments.id)]
    if not found:
        known = list(dict.fromkeys(row for point in points for row in point.ids()))
        raise UserError(unknown(f"row in {run.name} with id", arguments.id, known))
    return iter(found[: arguments.n])


def _first(points: Sequence[PointDetails], arguments: argparse.Namespace) -> Iterator[Detail]:
    left = arguments.n or _DEFAULT
    for point in points:
        lines = point.lines(_wanted(arguments), left)
        yield from point.details(lines)
        left -= len(lines)
        if not left:
            return


def _wanted(arguments: argparse.Namespace) -> Callable[[ResultLine], bool]:
    if arguments.errors:
        return _failed
    return _wrong if arguments.wrong else _any


def _any(_: ResultLine) -> bool:
    return True


def _failed(line: ResultLine) -> bool:
    return line.error is not None


def _wrong(line: ResultLine) -> bool:
    return any(score.value < 1 for score in line.scores.values())


def _print(
    run: RunFolder,
    specs: Sequence[PointSpec],
    found: Iterator[Detail],
    counts: dict[str, PointCounts],
    arguments: argparse.Namespace,
) -> None:
    out = console()
    out.print(f"{run.name}  {_there(specs, counts)}")
    shown = 0
    for detail in found:
        out.print()
        print_detail(
            out,
            detail,
            with_point=len(specs) > 1,
            full=arguments.full,
            logprobs=arguments.logprobs,
        )
        shown += 1
    _print_rest(out, run, shown, arguments)


def _there(specs: Sequence[PointSpec], counts: dict[str, PointCounts]) -> str:
    results = sum(counts[spec.name].ok + counts[spec.name].errors for spec in specs)
    expected = sum(counts[spec.name].expected for spec in specs)
    where = f"point {specs[0].name}, " if len(specs) == 1 and specs[0].axes else ""
    points = f" of {count(len(specs), 'point')}" if len(specs) > 1 else ""
    return f"{where}{results:,} of {count(expected, 'result')}{points}"


def _print_rest(out: Console, run: RunFolder, shown: int, arguments: argparse.Namespace) -> None:
    """Say how to see more, or that there is nothing."""
    which = "wrong" if arguments.wrong else "errors" if arguments.errors else ""
    if not shown:
        out.print(
            {"wrong": "no result is wrong", "errors": "no result has an error"}.get(which, "no results yet")
        )
    elif arguments.id is None and shown == (arguments.n or _DEFAULT):
        words = [
            typed(run),
            *([arguments.point] if arguments.point else []),
            *([f"--{which}"] if which else []),
        ]
        out.print()
        out.print(f"{count(shown, 'result')} shown; more: runner show {' '.join(words)} -n {10 * shown}")
