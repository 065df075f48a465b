"""Shows how a file composes: the config, and what was laid over what."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from runner.config import interpolation
from runner.config.choices import Chooser
from runner.config.compose import find_experiment, opened
from runner.config.files import Files
from runner.config.finish import Finisher
from runner.config.front import Front
from runner.config.keys import GROUPS
from runner.config.reader import Reader
from runner.config.values import brief
from runner.errors import ConfigError
from runner.places import Places


def raw_config(file: Path | str, overrides: Sequence[str], *, resolve: bool) -> str:
    """Return the composed config as YAML, before it is validated; axes stand under `sweep`.

    Args:
        file: as `compose` takes it.
        overrides: in Hydra's grammar; sweeps too.
        resolve: replace every ``${...}`` by what it comes to.

    Raises:
        ConfigError: the file doesn't compose.
    """
    path, reader, source = _open(file, overrides)
    raw = source.raw()
    config = Finisher(path.stem, Chooser(reader), Files(reader)).completed(raw)
    if resolve:
        config, faults = interpolation.resolve(config, raw.source)
        raw.faults += faults
    if raw.faults:
        raise ConfigError(raw.faults)
    if source.axes:
        config["sweep"] = {
            axis.label: [_entry(axis.label, entry) for entry in axis.entries] for axis in source.axes
        }
    return yaml.safe_dump(config, sort_keys=False, allow_unicode=True)


def _entry(label: str, entry: dict[str, Any]) -> Any:
    values = {key: given.value for key, given in entry.items()}
    return values[label] if list(values) == [label] else values


def defaults_info(file: Path | str, overrides: Sequence[str]) -> str:
    """Return which files, options and overrides were laid over each other, in order.

    Raises:
        ConfigError: the file doesn't compose.
    """
    _, reader, source = _open(file, overrides)
    if not isinstance(source, Front):
        return _table(("config path", "package", "parent"), source.defaults_list())
    raw = source.raw()
    if raw.faults:
        raise ConfigError(raw.faults)
    rows = [(str(index), name, "") for index, name in enumerate(source.names, 1)]
    rows[-1] = (rows[-1][0], rows[-1][1], " ".join(overrides))
    chosen = []
    for key, (_, given) in raw.winners.items():
        if key in GROUPS:
            option = reader.option(given.group or key, given.value) if isinstance(given.value, str) else None
            read = reader.label(option) if option is not None else ""
            chosen.append((key, brief(given.value), read, given.origin.at()))
    parts = [
        _table(("layer", "from", "overrides"), rows),
        _table(("group", "choice", "option", "chosen in"), chosen),
    ]
    return "\n\n".join([*parts, *([] if not raw.notes else ["\n".join(raw.notes)])])


def _open(file: Path | str, overrides: Sequence[str]) -> tuple[Path, Reader, Any]:
    path = find_experiment(file)
    reader = Reader(Places.of(path))
    return path, reader, opened(path, overrides, reader, Chooser(reader), multirun=True)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    columns = list(zip(head, *rows, strict=True))
    widths = [max(len(cell) for cell in column) for column in columns]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (head, *rows)
    )
    return "\n".join(line.rstrip() for line in lines)
