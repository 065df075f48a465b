"""Run the same rows greedily on several engines and show how far their answers agree, token by token.

It is a run like any other, with one point an engine: cached answers are not asked again, and `status`,
`logs` and `resume` work on it. Exit code 0 means that every pair agrees on every row.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from runner.commands.arguments import add_experiment, plan_from, print_config
from runner.commands.console import console, given
from runner.commands.run import run_plan
from runner.config import sweep_values
from runner.errors import UserError
from runner.parity import Agreement, Divergence, agreements
from runner.plan import PlannedPoint
from runner.values import canonical_json

_TOP = 5
_COMPLETE, _PARTLY = 0, 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_experiment(parser)
    parser.add_argument(
        "--engines",
        required=True,
        metavar="A,B,...",
        help="two or more: kinds of engine, options of conf/engine/, or maps such as "
        "'{kind: vllm, base_url: URL}'",
    )
    parser.add_argument("--verbose", action="store_true", help="show every answer that differs")


def main(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    if print_config(arguments):
        return 0
    engines = sweep_values("engine", arguments.engines)
    if len(engines) < 2 or len(set(map(canonical_json, engines))) < len(engines):  # noqa: PLR2004 - a pair
        raise UserError(f"--engines takes two or more engines, each once; given: {arguments.engines}")
    arguments.multirun = True
    arguments.overrides = [*arguments.overrides, f"engine={arguments.engines}", "sampling.temperature=0"]
    plan = plan_from(arguments)
    if all(_tells_tokens(point) for point in plan.points):
        arguments.overrides += ["sampling.logprobs=true", f"sampling.top_logprobs={_TOP}"]
        plan = plan_from(arguments)
    run, code = run_plan(plan, wait=True, verbose=arguments.verbose)
    if code in {_COMPLETE, _PARTLY}:
        names = _names(plan.points)
        shown = [(names[point.name], run.point(point.name)) for point in plan.points]
        compared = agreements(shown)
        _print(compared, verbose=arguments.verbose)
        code = code or int(any(pair.same < pair.total or pair.one_sided for pair in compared))
    return code


def _tells_tokens(point: PlannedPoint) -> bool:
    experiment = point.experiment
    return "top_logprobs" in point.kind.honours(experiment.engine).takes(experiment.task)


def _names(points: Sequence[PlannedPoint]) -> dict[str, str]:
    """Return what sets each point apart; of an engine that is a map its kind, where that will do."""
    short = {point.name: _name(point, brief=True) for point in points}
    whole = {point.name: _name(point, brief=False) for point in points}
    counts = Counter(short.values())
    return {name: short[name] if counts[short[name]] == 1 else whole[name] for name in short}


def _name(point: PlannedPoint, *, brief: bool) -> str:
    axes = dict(point.point.axes)
    if brief and isinstance(axes["engine"], dict):
        axes["engine"] = point.kind.name
    return ", ".join(given(value) for value in axes.values())


def _print(compared: list[Agreement], *, verbose: bool) -> None:
    table = Table("engines", "same", "compared by", "first divergence", "gap", box=None, pad_edge=False)
    for pair in compared:
        total = f"{pair.same}/{pair.total}"
        lacking = f", {pair.one_sided} only in one" if pair.one_sided else ""
        first = _told(pair.first) if pair.first else "-"
        table.add_row(" ~ ".join(pair.names), total + lacking, pair.by, first, _gap(pair.first))
    out = console()
    out.print(table)
    if verbose:
        for pair in compared:
            for parting in pair.parted:
                out.print(Text(f"{' ~ '.join(pair.names)}  {_told(parting)}  {_gap(parting)}"))


def _told(parting: Divergence) -> str:
    one, other = (repr(token) if token else "(end)" for token in parting.tokens)
    sample = f" sample {parting.sample}" if parting.sample else ""
    return f"{parting.id}{sample}, token {parting.place}: {one} / {other}"


def _gap(parting: Divergence | None) -> str:
    """Return how far each engine holds the other's token below its own."""
    if parting is None or parting.gap == (None, None):
        return ""
    return " / ".join("?" if gap is None else f"{gap:.2g}" for gap in parting.gap)
