"""Run an experiment: plan it, serve what is cached, launch the rest, and show the results.

With cluster=local or inline the command follows the jobs to their end; with cluster=slurm it
returns once they are submitted, unless --wait is given.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack

from runner.commands.arguments import add_experiment, plan_from, print_config
from runner.commands.follow import resumable
from runner.commands.launching import launch_and_show
from runner.commands.report import print_launch, print_outcome
from runner.fold import fold_run
from runner.launch import check_cluster
from runner.outcome import run_outcome
from runner.prepare import specify, write_run
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
    plan = plan_from(arguments)
    jobs = specify(plan)
    for job in plan.jobs:
        check_cluster(job.points[0].experiment.cluster, job.devices)
    with ExitStack() as held:
        run = write_run(plan, jobs, sys.argv, held)
        with resumable(run):
            surveys = serve_cached(run)
            left = unfinished(run, fold_run(run))
            print_launch(plan, run, left, surveys, verbose=arguments.verbose)
            if not left:
                return print_outcome(run_outcome(run))
            return launch_and_show(run, left, held, wait=arguments.wait)
