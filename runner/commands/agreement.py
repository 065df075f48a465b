"""How far the points of a parity run agree, as every command that shows the run prints it."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table
from rich.text import Text

from runner.commands.console import console
from runner.outcome import UNDER_WAY, RunOutcome
from runner.parity import Divergence, Parity, parity
from runner.runs import RunFolder

_COMPARED = frozenset({0, 3})
"""Exit codes of runs whose answers are compared: whole ones, and those that lack some."""


def agreement_of(outcome: RunOutcome) -> Parity | None:
    """Return how far a run's points agree; None where none are compared, or not yet."""
    if outcome.exit_code not in _COMPARED or outcome.state in UNDER_WAY:
        return None
    return parity(RunFolder(Path(outcome.path)), {point.name: point.ok for point in outcome.points})


def print_agreement(outcome: RunOutcome) -> None:
    """Print a row for each pair of points that are compared, and who tells no log probabilities."""
    if (found := agreement_of(outcome)) is None:
        return
    made = Table("engines", "same", "compared by", "first divergence", "gap", box=None, pad_edge=False)
    for pair in found.pairs:
        total = f"{pair.same}/{pair.total}"
        lacking = f", {pair.one_sided} only in one" if pair.one_sided else ""
        first = pair.parted[0] if pair.parted else None
        told = _told(first) if first else "-"
        made.add_row(" ~ ".join(pair.names), total + lacking, pair.by, told, _gap(first))
    out = console()
    out.print(made)
    if found.silent:
        out.print(f"no log probabilities, so that gaps are unknown: {'; '.join(found.silent)}")


def print_partings(found: Parity) -> None:
    """Print every answer that differs."""
    out = console()
    for pair in found.pairs:
        for parting in pair.parted:
            out.print(Text(f"{' ~ '.join(pair.names)}  {_told(parting)}  {_gap(parting)}"))


def _told(parting: Divergence) -> str:
    one, other = (repr(token) if token else "(end)" for token in parting.tokens)
    sample = f" sample {parting.sample}" if parting.sample else ""
    unit = "token" if parting.by == "token" else "character"
    return f"{parting.id}{sample}, {unit} {parting.place}: {one} / {other}"


def _gap(parting: Divergence | None) -> str:
    """Return how far each engine holds the other's token below its own."""
    if parting is None:
        return ""
    return " / ".join("?" if gap is None else f"{gap:.2g}" for gap in parting.gap)
