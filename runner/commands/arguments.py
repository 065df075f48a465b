"""Arguments that several commands share, and what they come to."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from runner.config import Composition, compose
from runner.plan import Plan, make_plan
from runner.runs import RunFolder, find_run


def add_runs(parser: argparse.ArgumentParser) -> None:
    """Let the folder of all runs be named."""
    parser.add_argument("--runs", type=Path, metavar="DIR", help="folder of all runs (default: $RUNNER_RUNS or runs/)")


def add_experiment(parser: argparse.ArgumentParser) -> None:
    """Take an experiment file and overrides in Hydra's grammar."""
    parser.add_argument("file", help="experiment file, or the name of one in experiments/")
    parser.add_argument("overrides", nargs="*", help="key=value in Hydra's grammar, such as sampling.temperature=0.7")
    parser.add_argument("-m", "--multirun", action="store_true", help="sweep over values separated by commas")
    parser.add_argument("--skip-refused", action="store_true", help="run the points that can run, and list the others")
    add_runs(parser)


def compose_from(arguments: argparse.Namespace) -> Composition:
    """Compose what `add_experiment` took."""
    return compose(arguments.file, arguments.overrides, multirun=arguments.multirun, runs=arguments.runs)


def plan_from(arguments: argparse.Namespace) -> Plan:
    """Plan what `add_experiment` took."""
    return make_plan(compose_from(arguments), skip_refused=arguments.skip_refused)


def add_run(parser: argparse.ArgumentParser) -> None:
    """Take the name of a run."""
    parser.add_argument(
        "run", nargs="?", default="last", help="run folder, its name, a unique prefix, last, or NAME/last (default: last)"
    )
    add_runs(parser)


def runs_folder(arguments: argparse.Namespace) -> Path:
    """Return the folder that runs are looked up in."""
    from runner.places import Places

    chosen: Path | None = arguments.runs
    if chosen is None and "RUNNER_RUNS" not in os.environ and not (Path.cwd() / "runs").is_dir():
        return Places.of(Path.cwd() / "experiment.yaml").runs
    return (chosen or Path(os.environ.get("RUNNER_RUNS", "runs"))).absolute()


def run_from(arguments: argparse.Namespace) -> RunFolder:
    """Return the run that `add_run` took."""
    return find_run(runs_folder(arguments), arguments.run)
