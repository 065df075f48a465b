"""Shows how a file composes: the config, and what was laid over what."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
from runner.config.values import VARIABLES, brief
from runner.errors import ConfigError
from runner.places import Places
from runner.secrets import Secrets
from runner.terminal import escape
from runner.values import Json


def raw_config(file: Path | str, overrides: Sequence[str], *, resolve: bool) -> str:
    """Return the composed config as YAML, before it is validated; axes stand under `sweep`.

    The values of secrets are masked.

    Args:
        file: as `compose` takes it.
        overrides: in Hydra's grammar; sweeps too.
        resolve: replace every ``${...}`` by what it comes to.

    Raises:
        ConfigError: the file doesn't compose.
    """
    with interpolation.environment_reads() as names:
        path, reader, source = _open(file, overrides)
        raw = source.raw()
        config = Finisher(path.stem, Chooser(reader), Files(reader)).completed(raw)
        if resolve:
            config, faults, _ = interpolation.resolve(config, raw.source)
            raw.faults += faults
    if raw.faults:
        raise ConfigError(raw.faults)
    if source.axes:
        config["sweep"] = {
            axis.label: [_entry(axis.label, entry) for entry in axis.entries] for axis in source.axes
        }
    config = _masked(config, Secrets.of(_variables(config), names))
    text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    # What can't be printed as it is, YAML escapes in quotes: it then still says the same.
    return text if escape(text) == text else yaml.safe_dump(config, sort_keys=False)


def _variables(value: Json) -> Iterator[str]:
    """Yield the names of variables that hold a secret by what the config says of them."""
    for key, inner in value.items() if isinstance(value, dict) else ():
        named = inner.values() if key == "headers_env" and isinstance(inner, dict) else [inner]
        if key in VARIABLES:
            yield from (name for name in named if isinstance(name, str))
        else:
            yield from _variables(inner)


def _masked(value: Json, secrets: Secrets) -> Json:
    if isinstance(value, dict):
        return {secrets.mask(str(key)): _masked(inner, secrets) for key, inner in value.items()}
    if isinstance(value, list):
        return [_masked(inner, secrets) for inner in value]
    text = str(value)
    return value if secrets.mask(text) == text else secrets.mask(text)


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
    source, _ = opened(path, overrides, reader, Chooser(reader), multirun=None)
    if source.swept.faults:
        raise ConfigError(source.swept.faults)
    return path, reader, source


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    columns = list(zip(head, *rows, strict=True))
    widths = [max(len(cell) for cell in column) for column in columns]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (head, *rows)
    )
    return "\n".join(line.rstrip() for line in lines)
