"""Run an experiment: plan it, serve what is cached, launch the rest, and show the results.

With cluster=local or inline the command follows the jobs to their end; with cluster=slurm it
returns once they are submitted, unless --wait is given.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from types import MappingProxyType

from runner.commands.arguments import add_experiment, plan_from, print_config
from runner.commands.console import console
from runner.commands.follow import resumable
from runner.commands.launchable import check_launch, less_without_server
from runner.commands.launching import launch_new
from runner.commands.planned import print_warnings
from runner.commands.report import print_launch, print_outcome
from runner.fold import fold_run
from runner.outcome import run_outcome
from runner.plan import Plan
from runner.prepare import specify, write_run
from runner.runs import RunFolder
from runner.start import serve_cached, unfinished


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_experiment(parser)
    parser.add_argument("--verbose", action="store_true", help="print every note on what was replaced, whole")
    parser.add_argument("--wait", action="store_true", help="follow the jobs to their end on Slurm too")


def main(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    if print_config(arguments):
        return 0
    plan = less_without_server(plan_from(arguments), skip_refused=arguments.skip_refused)
    _, code = run_plan(plan, wait=arguments.wait, verbose=arguments.verbose)
    return code


def run_plan(
    plan: Plan, *, wait: bool, verbose: bool, files: Mapping[str, bytes] = MappingProxyType({})
) -> tuple[RunFolder, int]:
    """Run a plan as the command does, with *files* beside its own; return its folder and the exit code."""
    jobs = specify(plan)
    check_launch(plan, jobs)
    with ExitStack() as held:
        run = write_run(plan, jobs, sys.argv, held, files)
        with resumable(run):
            with run.refusable():
                surveys = serve_cached(run)
                left = unfinished(run, fold_run(run))
            print_launch(plan, run, left, surveys, verbose=verbose)
            print_warnings(
                console(), plan, {spec.name: spec.dataset.rows for job in jobs for spec in job.points}
            )
            if not left:
                return run, print_outcome(run_outcome(run))
            return run, launch_new(run, left, held, wait=wait)
