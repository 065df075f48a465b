"""Show what a run would do; nothing is run or written.

Rows are streamed to count requests, cache hits and tokens, unless --no-count is given.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from runner.commands.arguments import add_experiment, plan_from, print_config
from runner.commands.console import console, print_json
from runner.commands.launchable import Asking, check_clusters
from runner.commands.planned import plan_json, print_plan, print_warnings
from runner.errors import UserError

if TYPE_CHECKING:
    from runner.plan import Plan


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_experiment(parser)
    parser.add_argument(
        "--no-count", action="store_true", help="don't stream the rows to count requests and tokens"
    )
    parser.add_argument("--verbose", action="store_true", help="print every note on what was replaced, whole")
    parser.add_argument("--json", action="store_true", help="print everything as one JSON object")


def main(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    if print_config(arguments):
        return 0
    plan = plan_from(arguments)
    if arguments.json:
        _print_json(plan, counted=not arguments.no_count)
        return 0
    print_plan(plan, verbose=arguments.verbose)
    asks: Callable[[str], bool] = Asking(plan).job
    rows: dict[str, int] = {}
    if not arguments.no_count:
        from runner.commands.counted import count_plan, print_counts

        counts = count_plan(plan)
        print_counts(plan, counts)
        asking = {one.job for one in counts if one.survey.requests}
        asks = asking.__contains__
        rows = {one.name: one.survey.rows for one in counts}
    print_warnings(console(), plan, rows)
    how = "to run it"
    try:
        check_clusters(plan, asks)
    except UserError as error:
        console().print(f"\nnot to be run here: {error}", style="yellow")
        how = "where it can be run"
    console().print(f"\nnothing was run; {how}: {_run_command(arguments)}")
    return 0


def _run_command(arguments: argparse.Namespace) -> str:
    words = ["runner", "run", arguments.file, *(["-m"] if arguments.multirun else []), *arguments.overrides]
    words += ["--skip-refused"] if arguments.skip_refused else []
    words += ["--runs", str(arguments.runs)] if arguments.runs is not None else []
    return shlex.join(words)


def _print_json(plan: Plan, *, counted: bool) -> None:
    if counted:
        from runner.commands.counted import count_plan, counts_json

        counts = count_plan(plan)
        shown = plan_json(plan, {one.name: one.survey.rows for one in counts})
        shown["counts"] = counts_json(counts)
    else:
        shown = plan_json(plan, {})
    print_json(msgspec.json.format(msgspec.json.encode(shown), indent=1).decode())
