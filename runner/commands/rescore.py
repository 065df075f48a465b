"""Score the stored answers of a run anew; no request is sent, and the run's own results stay.

    runner rescore RUN scorers=[numeric]
    runner rescore RUN scorers.exact_match.target="{{ row.label }}"

Each call writes RUN/rescored/N/: overrides.txt, and for each point results.jsonl and metrics.json.
"""

from __future__ import annotations

import argparse
import re
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from runner.commands.arguments import add_runs, run_from
from runner.commands.console import console, shown
from runner.commands.lines import print_failures
from runner.commands.report import print_results
from runner.commands.rescoring import rescore, rescored_points
from runner.errors import UserError
from runner.fold import fold_run
from runner.jobs import PointSpec
from runner.outcome import PointOutcome
from runner.resolved import check_whole
from runner.runs import RunFolder, write_file

_ALLOWED = re.compile(r"[+~]{0,2}(scorers(\.[^=]+)?|dataset\.target|failed_rows)(=|$)")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("run", help="run folder, its name, a unique prefix, last, or NAME/last")
    parser.add_argument(
        "overrides",
        nargs="*",
        default=[],
        help="scorers=..., scorers.NAME.KEY=..., dataset.target=..., failed_rows=...",
    )
    add_runs(parser)


def main(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    overrides: list[str] = arguments.overrides
    if others := [text for text in overrides if not _ALLOWED.match(text)]:
        raise UserError(
            f"rescore changes scorers, dataset.target and failed_rows only (given: {' '.join(others)})\n"
            "    for anything else start a new run: runner run FILE key=value"
        )
    run = run_from(arguments)
    check_whole(run)
    fold_run(run)
    points = rescored_points(run, overrides)
    with run.lock():
        folder, outcomes = _write(run, points, overrides)
    out = console()
    out.print(f"rescored {run.name}, no request sent")
    print_results(out, outcomes)
    print_failures(out, (failure for point in outcomes for failure in point.failures))
    name = points[0].name if len(points) == 1 else "*"
    out.print(f"results: {shown(folder / 'points' / name / 'results.jsonl')}")
    return 0


def _write(
    run: RunFolder, points: Sequence[PointSpec], overrides: Sequence[str]
) -> tuple[Path, list[PointOutcome]]:
    """Write the folder of this call under a temporary name, and rename it when it is complete."""
    parent = run.path / "rescored"
    numbers = [int(path.name) for path in parent.glob("*") if path.name.isdecimal()]
    folder = parent / str(max(numbers, default=0) + 1)
    draft = parent / ".draft"
    with ExitStack() as stack:
        shutil.rmtree(draft, ignore_errors=True)
        stack.callback(shutil.rmtree, draft, ignore_errors=True)
        outcomes = [rescore(run, spec, draft / "points" / spec.name) for spec in points]
        write_file(draft / "overrides.txt", "".join(f"{text}\n" for text in overrides))
        draft.rename(folder)
    return folder, outcomes
