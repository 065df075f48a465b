"""Finds columns that are named bare where a template is expected: their name would be taken for the text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from runner.errors import Fault
from runner.prompts.source import PromptSource
from runner.prompts.texts import Text, texts
from runner.render import look_up
from runner.spec import Dataset, Experiment
from runner.values import spelled


def bare_targets(experiment: Experiment, there: Sequence[str]) -> list[Fault]:
    """Return a fault for each target that is nothing but the name of a column; *there* are all of them."""
    targets = {"dataset.target": experiment.dataset.target}
    targets |= {f"scorers.{name}.target": scorer.target for name, scorer in experiment.scorers.items()}
    given = [Text(target, place, place) for place, target in targets.items() if isinstance(target, str)]
    return _faults(given, experiment.dataset, there)


def bare_prompts(experiment: Experiment, prompt: PromptSource, there: Sequence[str]) -> list[Fault]:
    """Return a fault for each text of a prompt that is nothing but the name of a column.

    The texts of a list are left alone: A, B, C and D may be both continuations and columns.
    """
    return _faults([text for text in texts(prompt) if not text.listed], experiment.dataset, there)


def _faults(given: Iterable[Text], dataset: Dataset, there: Sequence[str]) -> list[Fault]:
    faults = []
    for text in given:
        if (column := _bare(text.source, there)) is None:
            continue
        where = "" if text.name == text.place else f"template {text.name}: "
        said = spelled(text.source.strip())
        problem = f"{where}{said} is text that all rows would share, not the column {column!r}"
        hint = f'write "{{{{ {look_up("row", column)} }}}}"; for the text itself "{{{{ {column!r} }}}}"'
        faults.append(Fault(text.place, f"{problem} of {dataset.path}", hint))
    return faults


def _bare(text: str, there: Sequence[str]) -> str | None:
    """Return the column that a text without a template names and no more."""
    inner = text.strip()
    if inner.startswith("{") and inner.endswith("}") and not inner.startswith(("{{", "{%", "{#")):
        inner = inner[1:-1].strip()  # as Python's str.format has it
    return next((column for column in there if inner and inner in _spellings(column)), None)


def _spellings(column: str) -> tuple[str, ...]:
    return column, f"row.{column}", f"row['{column}']", f'row["{column}"]'
