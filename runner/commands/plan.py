"""Show what a run would do; nothing is run or written."""

from __future__ import annotations

import argparse

from runner.commands.arguments import add_experiment, compose_from
from runner.commands.planned import print_counts, print_plan
from runner.plan import make_plan


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_experiment(parser)
    parser.add_argument("--no-count", action="store_true", help="don't stream the rows to count requests and tokens")


def main(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    plan = make_plan(compose_from(arguments), skip_refused=arguments.skip_refused)
    print_plan(plan)
    if not arguments.no_count:
        print_counts(plan)
    return 0
