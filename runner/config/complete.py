"""Shell completion of the override being typed."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from runner.config.compose import find_experiment
from runner.config.hydra_searchpath import search_folders
from runner.config.hydra_settings import HONOURED, hydra_settings
from runner.config.keys import FRONT, GROUPS, SETTINGS
from runner.config.reader import Reader
from runner.config.user_schema import json_schema
from runner.engines.registry import engine_kinds
from runner.errors import ConfigError
from runner.files import entries, is_folder
from runner.places import Places
from runner.scoring.registry import scorer_kinds
from runner.spec import CLUSTER_KINDS


def completions(file: Path | None, word: str) -> list[str]:
    """Return what *word*, an override being typed, may go on to.

    Args:
        word: so far, with its sign: ``sampling.t``, ``+model=``.
        file: the experiment file where one is on the command line; its project's options count.
    """
    bare = word.lstrip("+~")
    sign = word[: len(word) - len(bare)]
    key, equals, value = bare.partition("=")
    found = _values(_reader(file), key, value) if equals else _keys(bare)
    return [sign + one for one in found]


def _reader(file: Path | None) -> Reader:
    try:
        path = Path("experiment.yaml") if file is None else find_experiment(file)
    except ConfigError:
        path = Path("experiment.yaml")
    reader = Reader(Places.of(path))
    with suppress(ConfigError):  # a file that is still being written names no folders
        if file is not None:
            reader.search(search_folders(hydra_settings([reader.read(path)], []), reader.places))
    return reader


def _keys(typed: str) -> list[str]:
    head, dot, _ = typed.partition(".")
    if dot and head in GROUPS:
        known = [f"{head}.{key}=" for key in _properties(head)]
    else:
        known = [f"{key}=" for key in (*GROUPS, *SETTINGS)]
        known += [f"{key}." for key in GROUPS if typed and key.startswith(typed)]
    known += [f"{key}=" for key in HONOURED if typed]
    return [key for key in known if key.startswith(typed)]


def _properties(group: str) -> list[str]:
    known = {name for one in _branches(json_schema(), group) for name in one.get("properties", {})}
    return sorted(known - set(FRONT))


def _branches(schema: dict[str, Any], group: str) -> list[dict[str, Any]]:
    """Return every kind's schema of a group."""
    found: list[dict[str, Any]] = []
    pending: list[Any] = [schema["$defs"].get(group, {})]
    while pending:
        one = pending.pop()
        found.append(one)
        pending += one.get("anyOf", [])
        if "$ref" in one:
            pending.append(schema["$defs"][one["$ref"].rsplit("/", 1)[-1]])
    return found


def _values(reader: Reader, key: str, typed: str) -> list[str]:
    """Complete the last of several values: of a sweep, or in a list."""
    cut = max(typed.rfind(","), typed.rfind("[")) + 1
    known = _options(reader, key) if key in GROUPS else _literals(key)
    return [f"{key}={typed[:cut]}{one}" for one in known if one.startswith(typed[cut:])]


def _options(reader: Reader, group: str) -> list[str]:
    names = {
        "engine": list(engine_kinds()),
        "scorers": list(scorer_kinds()),
        "cluster": list(CLUSTER_KINDS),
        "prompt": [
            one.name for folder in reader.places.templates for one in entries(folder) if is_folder(one)
        ],
    }
    return sorted({*reader.options(group), *names.get(group, [])})


def _literals(key: str) -> list[str]:
    head, _, name = key.partition(".")
    schema = json_schema()
    if name:
        found = [one["properties"].get(name, {}) for one in _branches(schema, head) if "properties" in one]
    else:
        found = [schema["properties"].get(head, {})]
    branches = [inner for one in found for inner in (one, *one.get("anyOf", []))]
    values = [str(item) for branch in branches for item in branch.get("enum", [])]
    values += [str(branch["const"]) for branch in branches if "const" in branch]
    values += [text for branch in branches if branch.get("type") == "boolean" for text in ("true", "false")]
    return list(dict.fromkeys(values))
