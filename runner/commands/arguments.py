"""Arguments that several commands share, and what they come to."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from runner.commands.console import shown
from runner.errors import ConfigError, UserError
from runner.files import expanded, find, impossible, shown_name
from runner.streams import require_utf8
from runner.terminal import write

if TYPE_CHECKING:
    from runner.config import Composition
    from runner.plan import Plan, PlannedPoint
    from runner.runs import RunFolder

_SHOWN = 8
"""Names listed where none is near the one that was given."""


def given_path(text: str) -> Path:
    """Return the path that an argument is; ``~`` is a home folder.

    Raises:
        UserError: nothing can be there.
    """
    path = expanded(text)
    if why := impossible(path) if text else "a path is expected":
        raise UserError(f"{shown_name(text)}: {why}")
    return path


def add_runs(parser: argparse.ArgumentParser) -> None:
    """Let the folder of all runs be named."""
    parser.add_argument(
        "--runs", type=given_path, metavar="DIR", help="folder of all runs (default: $RUNNER_RUNS or runs/)"
    )


def add_file(parser: argparse.ArgumentParser) -> None:
    """Take an experiment file and overrides in Hydra's grammar."""
    file = parser.add_argument("file", help="experiment file, or the name of one in experiments/")
    file.required = False  # `_file` tells which there are, where argparse would name its own variable
    parser.add_argument(
        "overrides",
        nargs="*",
        default=[],
        help="key=value in Hydra's grammar, such as sampling.temperature=0.7",
    )
    parser.add_argument("-m", "--multirun", action="store_true", help="sweep over values separated by commas")
    add_runs(parser)


def add_experiment(parser: argparse.ArgumentParser) -> None:
    """Take an experiment file and overrides, and what can be done with them besides running them."""
    add_file(parser)
    parser.add_argument(
        "--skip-refused", action="store_true", help="go on with the points that can run, and list the others"
    )
    parser.add_argument("--cfg", choices=["job"], help="print the composed config as YAML, and do no more")
    parser.add_argument("--resolve", action="store_true", help="with --cfg: replace every ${...}")
    parser.add_argument(
        "--info", choices=["defaults"], help="print what was laid over what, in order, and do no more"
    )


def add_point(parser: argparse.ArgumentParser) -> None:
    """Take one point of an experiment."""
    add_file(parser)
    parser.add_argument(
        "--point", metavar="POINT", help="index or name of a point, as plan shows it (default: the first)"
    )


def print_config(arguments: argparse.Namespace) -> bool:
    """Print what --cfg or --info of `add_experiment` ask for; False if neither was given."""
    from runner.config import defaults_info, raw_config

    if arguments.resolve and arguments.cfg is None:
        raise UserError("--resolve goes with --cfg job")
    if arguments.cfg is not None:
        write(raw_config(_file(arguments), arguments.overrides, resolve=arguments.resolve), end="")
    if arguments.info is not None:
        write(defaults_info(_file(arguments), arguments.overrides))
    return arguments.cfg is not None or arguments.info is not None


def _file(arguments: argparse.Namespace) -> str:
    """Return the experiment that `add_file` took.

    Raises:
        UserError: none was named.
    """
    from runner.config import experiment_names

    if arguments.file is None or ("=" in arguments.file and find(arguments.file, [Path()]) is None):
        known = ", ".join(experiment_names())
        raise UserError(f"name an experiment: its file, such as experiment.yaml, or one of {known}")
    return str(arguments.file)


def compose_from(arguments: argparse.Namespace, *, skip_refused: bool = False) -> Composition:
    """Compose what `add_file` took."""
    from runner.config import compose

    return compose(
        _file(arguments),
        arguments.overrides,
        multirun=arguments.multirun,
        runs=arguments.runs,
        skip_refused=skip_refused,
    )


def plan_from(arguments: argparse.Namespace) -> Plan:
    """Plan what `add_experiment` took.

    Raises:
        ConfigError: a point is refused, be it for what its engine lacks here to ask what there is to ask; or
            a secret's value stands in the plan.
    """
    from runner.commands.launchable import less_stopped
    from runner.fitting_rows import less_refused_by_rows
    from runner.plan import make_plan
    from runner.prepare import refuse_secrets

    skip = arguments.skip_refused
    # Points that are no experiment are told together with what the plan finds wrong with others.
    plan = make_plan(compose_from(arguments, skip_refused=True), skip_refused=skip)
    refuse_secrets(plan)
    return less_stopped(less_refused_by_rows(plan) if skip else plan, skip_refused=skip)


def point_from(arguments: argparse.Namespace) -> tuple[Plan, PlannedPoint]:
    """Plan what `add_point` took; return the plan and the point that was chosen.

    Raises:
        UserError: there is no such point; or a secret's value stands in the plan.
    """
    from runner.plan import make_plan
    from runner.prepare import refuse_secrets

    plan = make_plan(compose_from(arguments, skip_refused=True), skip_refused=True)
    refuse_secrets(plan)
    given = arguments.point
    if given is None:
        return plan, plan.points[0]
    for point in plan.points:
        if given == point.name or (given.isdecimal() and int(given) == point.point.index):
            return plan, point
    for refused in plan.refused:
        if given == str(refused.index):
            raise ConfigError(list(refused.faults))
    raise UserError(unknown("point", given, [point.name for point in plan.points]))


def only(plan: Plan, point: PlannedPoint) -> Plan:
    """Return *plan* with one point alone."""
    job = next(job for job in plan.jobs if point in job.points)
    return replace(plan, points=(point,), jobs=(replace(job, points=(point,)),))


def add_run(parser: argparse.ArgumentParser) -> None:
    """Take the name of a run."""
    parser.add_argument(
        "run",
        nargs="?",
        default="last",
        help="run folder, its name, a unique prefix, last, or NAME/last (default: last)",
    )
    add_runs(parser)


def runs_folder(arguments: argparse.Namespace) -> Path:
    """Return the folder that runs are looked up in."""
    chosen: Path | None = arguments.runs
    runs = chosen.absolute() if chosen is not None else default_runs()
    require_utf8(str(runs), "the folder of runs")
    return runs


def default_runs() -> Path:
    """Return the folder that runs are looked up in where none is named, as an experiment here has it."""
    from runner.places import Places

    if "RUNNER_RUNS" not in os.environ and (Path.cwd() / "runs").is_dir():
        return Path.cwd() / "runs"
    return Places.of(Path.cwd() / "experiment.yaml").runs


def typed(run: RunFolder) -> str:
    """Return what one types here to name a run."""
    return run.name if run.runs == default_runs() else shlex.quote(shown(run.path))


def run_from(arguments: argparse.Namespace) -> RunFolder:
    """Return the run that `add_run` took."""
    return named_run(arguments, arguments.run)


def named_run(arguments: argparse.Namespace, text: str) -> RunFolder:
    """Return the run that *text* names: in the folder of runs, else in one of a project below or above.

    ``last`` is the newest of them all.

    Raises:
        UserError: none or several runs match.
    """
    from runner.runs import find_run, newest_first

    folders = runs_folders(arguments)
    if text == "last":
        folders = newest_first(folders)
    try:
        return find_run(folders[0], text)
    except UserError:
        for folder in folders[1:]:
            with suppress(UserError):
                return find_run(folder, text)
        raise


def runs_folders(arguments: argparse.Namespace) -> list[Path]:
    """Return the folder of runs, and those of projects below this folder; else that of one above it."""
    from runner.runs import all_runs

    folders = list(dict.fromkeys([runs_folder(arguments), *_runs_below(arguments)]))
    if arguments.runs is not None or "RUNNER_RUNS" in os.environ or any(map(all_runs, folders)):
        return folders
    above = (folder / "runs" for folder in Path.cwd().parents)
    return [*folders, *islice(filter(all_runs, above), 1)]


def _runs_below(arguments: argparse.Namespace) -> list[Path]:
    """Return the folders of runs of projects up to two folders below this one, where none is named."""
    if arguments.runs is not None or "RUNNER_RUNS" in os.environ:
        return []
    here = Path.cwd()
    return sorted(path for depth in ("*", "*/*") for path in here.glob(f"{depth}/runs") if path.is_dir())


def unknown(what: str, given: str, known: Sequence[str]) -> str:
    """Say that there is no such thing, and which name may be meant."""
    near = get_close_matches(given, known, n=1)
    more = ", ..." if len(known) > _SHOWN else ""
    hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(known[:_SHOWN])}{more}"
    return f"there is no {what} {given!r}; {hint}"
