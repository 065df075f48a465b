"""Show how a run stands: its jobs, its points, its scores; from any terminal, at any time.

Points that --skip-refused left out of it are listed below, with why.

Exits as the run did: 0 complete or under way, 1 failed, or cancelled in whole or in part, 3 incomplete or
with final errors, 130 interrupted. With --all: 1 where a run's folder is damaged, may not be read, or can't
take up new answers; else 0.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from runner.commands.arguments import add_run, run_from, runs_folders, typed
from runner.commands.console import ago, console, print_json, print_table, table, widest
from runner.commands.report import jobs_table, print_outcome
from runner.commands.watch import watch
from runner.errors import RunnerError, one_line
from runner.fold import UnfoldedError
from runner.outcome import RunOutcome, run_outcome
from runner.resolved import check_whole
from runner.runs import RunFolder, all_runs
from runner.terminal import write_error
from runner.values import Json, count

DAMAGED = "damaged"
"""State of a run in the list of all whose folder tells no other."""

UNFOLDED = "unfolded"
"""State of one whose answers can't be made into results as yet."""

_UNTOLD = frozenset({DAMAGED, UNFOLDED})
"""States without counts, each with its reason for the only warning."""

_SPARED = ("started", "answered", "errors", "missing", "state")
"""Columns of the list of runs that a narrow terminal goes without, the first ones first; never the name."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_run(parser)
    parser.add_argument("--all", action="store_true", help="list all runs")
    parser.add_argument("--watch", action="store_true", help="show it anew until it ends")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")


def main(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    if arguments.all:
        return _list(runs_folders(arguments), as_json=arguments.json)
    run = run_from(arguments)
    check_whole(run)
    if arguments.watch:
        watch(run)
    outcome = run_outcome(run)
    if arguments.json:
        print_json(msgspec.json.format(msgspec.json.encode(outcome), indent=1).decode())
        return outcome.exit_code
    out = console()
    out.print(Text.assemble((outcome.name, "bold"), f"  {outcome.state}, started {ago(started(run))}"))
    print_table(out, jobs_table(outcome.jobs))
    out.print()
    return print_outcome(outcome)


def started(run: RunFolder) -> datetime:
    """Return when a run was started, by its folder's name, else by its files."""
    try:
        return datetime.strptime(run.path.name.split("-")[0], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except ValueError:  # a folder that was renamed
        return datetime.fromtimestamp(run.written, UTC)


def _list(folders: Sequence[Path], *, as_json: bool) -> int:
    outcomes = [(run, _outcome(run)) for folder in folders for run in all_runs(folder)]
    untold = [outcome for _, outcome in outcomes if outcome.state in _UNTOLD]
    closed = [path for folder in folders for path in _within(folder) if _is_closed(path)]
    for path in closed:
        write_error(f"runner: {path}: can't be read; its runs are not shown")
    code = int(bool(untold or closed))
    if as_json:
        listed = [_listed(run, outcome) for run, outcome in outcomes]
        print_json(msgspec.json.format(msgspec.json.encode(listed), indent=1).decode())
        return code
    out = console()
    if not outcomes:
        out.print(f"there are no runs in {folders[0]}; start one with: runner run FILE")
        return code
    print_list(out, outcomes)
    for outcome in untold:
        out.print(f"{outcome.state}: {outcome.name}: {'; '.join(outcome.warnings)}", style="red")
    sound = (outcome for _, outcome in outcomes if outcome.state not in _UNTOLD)
    for warning in dict.fromkeys(warning for outcome in sound for warning in outcome.warnings):
        out.print(f"warning: {warning}", style="yellow")
    return code


def _within(runs: Path) -> Iterator[Path]:
    return chain(runs.glob("*"), runs.glob("*/*"))


def _is_closed(path: Path) -> bool:
    return path.is_dir() and not os.access(path, os.R_OK | os.X_OK)


def _outcome(run: RunFolder) -> RunOutcome:
    """Return how a run stands; of one whose files don't tell, with what is wrong for a warning."""
    state = DAMAGED
    try:
        return run_outcome(run)
    except UnfoldedError as error:
        state, reason = UNFOLDED, one_line(str(error))
    except RunnerError as error:
        reason = one_line(str(error))
    except OSError as error:
        reason = f"{error.filename}: {error.strerror}"
    return RunOutcome(run.name, str(run.path), state, RunnerError.exit_code, (), (), (reason,))


def _listed(run: RunFolder, outcome: RunOutcome) -> dict[str, Json]:
    error = outcome.warnings[0] if outcome.state in _UNTOLD else None
    shown = {"name": outcome.name, "path": outcome.path, "state": outcome.state}
    return {**shown, "started": started(run).isoformat(), "error": error}


def print_list(out: Console, outcomes: list[tuple[RunFolder, RunOutcome]]) -> None:
    """Print a table with a row a run, as wide as there is room."""
    columns = ["run", "state", "started", "answered", "missing", "errors"]
    for spared in _SPARED:
        if widest(made := _runs_table(outcomes, columns)) <= out.width:
            break
        columns.remove(spared)
        made = _runs_table(outcomes, columns)
    print_table(out, made)
    out.print(f"{count(len(outcomes), 'run')}; runner status RUN tells more")


def _runs_table(outcomes: list[tuple[RunFolder, RunOutcome]], columns: Sequence[str]) -> Table:
    text = ("run", "state", "started")
    made = table([c for c in columns if c in text], [c for c in columns if c not in text])
    for run, outcome in outcomes:
        cells = {"run": typed(run), "state": outcome.state, "started": ago(started(run))}
        for column, name in (("answered", "ok"), ("missing", "missing"), ("errors", "errors")):
            total = sum(getattr(point, name) for point in outcome.points)
            cells[column] = "" if outcome.state in _UNTOLD else f"{total:,}"
        made.add_row(*(cells[column] for column in columns))
    return made
