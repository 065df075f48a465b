"""Show what the cache holds, or why a request is not in it.

runner cache stats
runner cache explain FILE [key=value ...] --row 7
"""

from __future__ import annotations

import argparse
from itertools import islice
from pathlib import Path

from runner.commands.arguments import add_runs, point_from, runs_folder
from runner.commands.console import console, print_table, shown, table
from runner.commands.missed import Missed, explain
from runner.commands.render import open_point
from runner.commands.stored import model_names, stored
from runner.errors import UserError
from runner.questions import OpenPoint
from runner.runs import CACHE_FILE
from runner.values import Row, count

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")
_STEP = 1024
_DIGITS = 18
"""More than that no row's number has."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    actions = ["stats", "explain"]
    parser.add_argument("action", choices=actions, metavar="stats|explain", help="what to show")
    parser.add_argument(
        "file", nargs="?", help="explain: experiment file, or the name of one in experiments/"
    )
    parser.add_argument("overrides", nargs="*", default=[], help="explain: key=value, as for run")
    parser.add_argument("--row", default="0", metavar="ROW", help="explain: number (from 0) or id of a row")
    parser.add_argument("--point", metavar="POINT", help="explain: index or name of a point")
    parser.add_argument(
        "-m", "--multirun", action="store_true", help="explain: sweep over values with commas"
    )
    add_runs(parser)


def main(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    if arguments.action == "stats":
        if arguments.file is not None:
            raise UserError(
                f"cache stats takes no file (given: {arguments.file}); --runs DIR names the folder"
            )
        return _stats(runs_folder(arguments))
    if arguments.file is None:
        raise UserError("cache explain takes an experiment file: runner cache explain FILE --row 7")
    return _explain(arguments)


def _stats(runs: Path) -> int:
    out = console()
    file = runs / CACHE_FILE
    if not file.exists():
        out.print(f"there is no cache in {shown(runs)} yet; the first run fills it")
        return 0
    names = model_names(runs)
    counts = stored(file, names)
    out.print(f"{shown(file)}: {count(sum(counts.values()), 'response')}, {size(file.stat().st_size)}")
    made = table(["model", "engine"], ["responses"])
    for (model, engine), number in sorted(counts.items()):
        made.add_row(model, engine, f"{number:,}")
    print_table(out, made)
    return 0


def size(number: float) -> str:
    """Return a number of bytes in the unit that reads best."""
    unit = 0
    while number >= _STEP and unit < len(_UNITS) - 1:
        number /= _STEP
        unit += 1
    return f"{number:.0f} {_UNITS[unit]}" if unit == 0 else f"{number:.1f} {_UNITS[unit]}"


def _explain(arguments: argparse.Namespace) -> int:
    plan, planned = point_from(arguments)
    point = open_point(planned)
    row = _row(point, arguments.row)
    out = console()
    out.print(f"row {row.id} of {plan.name}" + (f", point {planned.name}" if len(plan.points) > 1 else ""))
    if not point.experiment.reads_cache:
        does = "asks everything anew" if point.experiment.cache == "refresh" else "neither reads nor fills it"
        out.print(f"the cache is not read: cache: {str(point.experiment.cache).lower()} {does}")
    found = explain(point, row, plan.composition.places.runs / CACHE_FILE)
    if isinstance(found, Missed):
        _print_missed(found)
    else:
        what = "all its answers are" if len(found) > 1 else "its answer is"
        out.print(f"stored: {what} in the cache, no request is needed")
        for key in found:
            out.print(f"  key {key}")
    return 0


def _row(point: OpenPoint, given: str) -> Row:
    """Return the row with a number or an id."""
    if given.isdecimal() and len(given) <= _DIGITS:
        for row in islice(point.rows(), int(given), None):
            return row
    for row in point.rows():
        if row.id == given:
            return row
    raise UserError(f"--row: the dataset has no row {given!r}, neither by number (from 0) nor by id")


def _print_missed(missed: Missed) -> None:
    out = console()
    out.print(f"not stored: slot {missed.slot}, key {missed.key.hex()}")
    if missed.nearest == missed.key:
        out.print("what is stored under this key is damaged: a run sends the request again")
        return
    if missed.nearest is None:
        out.print("nothing is stored yet that it could be compared with")
        return
    out.print(f"the nearest stored request, {missed.nearest.hex()[:16]}..., differs in:")
    made = table(["field", "stored", "now", ""])
    for one in missed.differences:
        made.add_row(one.field, one.stored, one.now, one.why)
    print_table(out, made)
