"""Checks what it can of a config that is no experiment, so that more faults are told at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

from pydantic import ValidationError

from runner.config.assemble import Raw
from runner.config.files import Files
from runner.config.layers import split
from runner.errors import Fault
from runner.prompts import checked_prompt, compile_prompt
from runner.render import template_faults
from runner.spec import Experiment, Prompt
from runner.values import Json

_TASKS = get_args(Experiment.model_fields["task"].annotation)


def other_faults(raw: Raw, files: Files, folders: Sequence[Path]) -> list[Fault]:
    """Return what else is wrong, at places of which *raw* has no fault yet.

    Looked at are the dataset's file, and the templates of targets and of a prompt that is one otherwise; some
    lie in template *folders*.
    """
    told = [split(fault.place) for fault in raw.faults]
    found = [(split(fault.place), fault) for fault in _faults(raw.config, files, folders)]
    return [
        replace(fault, source=raw.source(place))
        for place, fault in found
        if not any(place[: len(known)] == known[: len(place)] for known in told)
    ]


def _faults(config: dict[str, Json], files: Files, folders: Sequence[Path]) -> Iterator[Fault]:
    yield from files.no_rows(config.get("dataset"))
    faults, slots = _prompt(config, folders)
    yield from faults
    for place, text in _targets(config):
        yield from template_faults(text, place, ["row", *slots] if slots is not None else None)


def _prompt(config: dict[str, Json], folders: Sequence[Path]) -> tuple[list[Fault], Sequence[str] | None]:
    """Return what is wrong with a prompt that is one by its type, and its slots if it is sound."""
    task = config.get("task", Experiment.model_fields["task"].default)
    given = config.get("prompt")
    if task not in _TASKS or "${" in repr(given):
        return [], None
    try:
        prompt = Prompt.model_validate(given)
    except ValidationError:
        return [], None  # told already
    faults, source = checked_prompt(prompt, task, folders)
    return faults, compile_prompt(source, task).slots if source is not None else None


def _targets(config: dict[str, Json]) -> Iterator[tuple[str, str]]:
    """Yield the scorers' targets with their places, but not those that are yet to be made."""
    dataset, scorers = config.get("dataset"), config.get("scorers")
    whole = dataset.get("target") if isinstance(dataset, dict) else None
    for name, one in scorers.items() if isinstance(scorers, dict) else ():
        own = one.get("target") if isinstance(one, dict) else None
        text, place = (whole, "dataset.target") if own is None else (own, f"scorers.{name}.target")
        if isinstance(text, str) and "${" not in text:
            yield place, text
