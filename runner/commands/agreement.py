"""How far the points of a parity run agree, as every command that shows the run prints it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from runner.commands.console import console
from runner.outcome import UNDER_WAY, RunOutcome
from runner.parity import Divergence, Parity, parity
from runner.runs import RunFolder

_SILENT = "no log probabilities"
_UNLIKELY = "the other's token is not among the likeliest told"
_ENDED = "one answer ends there"

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
        _explain(out, _SILENT, found.silent)
    for reason, names in _unknown(found, 1).items():
        _explain(out, reason, names)


def print_partings(found: Parity) -> None:
    """Print every answer that differs."""
    out = console()
    for pair in found.pairs:
        for parting in pair.parted:
            out.print(Text(f"{' ~ '.join(pair.names)}  {_told(parting)}  {_gap(parting)}"))
    for reason, names in _unknown(found).items():
        _explain(out, reason, names)


def _explain(out: Console, reason: str, names: Iterable[str]) -> None:
    out.print(Text(f"{reason}, so that gaps are unknown: {'; '.join(names)}"))


def _unknown(found: Parity, most: int | None = None) -> dict[str, dict[str, None]]:
    """Return why gaps are unknown in the first *most* answers that each pair parts in, and whose.

    Those that tell no log probabilities are left out.
    """
    why: dict[str, dict[str, None]] = {}
    for pair in found.pairs:
        for parting in pair.parted[:most]:
            for name, gap in zip(pair.names, parting.gap, strict=True):
                if gap is None and name not in found.silent:
                    why.setdefault(_ENDED if "" in parting.tokens else _UNLIKELY, {})[name] = None
    return why


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
