"""Write the generated parts of docs/: the tables of keys, commands and engines, and the schema.

    python -m scripts.make_docs

In a page, what stands between ``<!-- begin NAME -->`` and ``<!-- end NAME -->`` is written anew; the
rest is left alone. tests/docs/test_docs_generated.py fails where a page is out of date.
"""

from __future__ import annotations

import argparse
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from pydantic import TypeAdapter

from runner import errors
from runner.cli import COMMANDS, command_parser
from runner.commands.schema import schema_text
from runner.config.keys import GROUPS
from runner.engines.registry import engine_kinds
from runner.schema import experiment_type
from runner.scoring.registry import scorer_kinds
from runner.spec import (
    CsvDataset,
    EngineSettings,
    InlineCluster,
    JsonlDataset,
    LocalCluster,
    Model,
    Output,
    ParquetDataset,
    Prompt,
    Sampling,
    ScorerSettings,
    Shard,
    Slot,
    SlurmCluster,
    Topology,
    Turn,
)
from runner.spec.base import Spec
from runner.values import Json
from scripts.docs_engines import engines
from scripts.docs_markdown import code, table

DOCS = Path(__file__).resolve().parent.parent / "docs"

_FRONT = {
    "extends": ("text", "", "Name or path of the experiment that this one builds on."),
    "defaults": ("list", "", "Hydra's defaults list: makes this a plain Hydra file."),
    "hydra": ("map", "", "[Hydra's own settings](#hydras-own-settings): five count, the others are refused."),
    "sweep": ("map of lists", "", "Axes of a sweep: a key with its values, or a label with linked keys."),
}
"""Keys that say how a file is put together; they are no part of an experiment."""

_ANY_SAMPLING = ["any key of `sampling`", "", "", "Counts for this slot alone."]

_LEFT_OUT = {
    ("Experiment", "name"): "the file's name",
    ("Experiment", "engine"): "the model's, else `mistralrs`",
    ("EngineSettings", "kind"): "`mistralrs`",
    ("JsonlDataset", "kind"): "by the suffix, else `jsonl`",
    ("ScorerSettings", "kind"): "the scorer's name",
}
"""What is meant where a key is left out, where its type can't tell."""

_TYPED = ("runner ", "eval ", "# ")
"""How paragraphs of a command's docstring begin that show what to type."""

_WORDS = {"string": "text", "integer": "integer", "number": "number", "boolean": "true or false"}
_BOUNDS = {"minimum": "≥ ", "exclusiveMinimum": "> ", "maximum": "≤ ", "exclusiveMaximum": "< "}


def pages() -> dict[Path, str]:
    """Return every page with generated parts, as it should be."""
    parts = _parts()
    texts = {path: path.read_text() for path in sorted(DOCS.glob("*.md"))}
    made = {path: _replaced(text, parts) for path, text in texts.items() if "<!-- begin " in text}
    return {**made, DOCS / "schema.json": schema_text()}


def _parts() -> Mapping[str, Callable[[], str]]:
    return MappingProxyType({
        "keys": _keys,
        "commands": _commands,
        "engines": engines,
        "errors": lambda: f"```text\n{_tree()}\n```",
    })


def _replaced(text: str, parts: Mapping[str, Callable[[], str]]) -> str:
    def part(match: re.Match[str]) -> str:
        return f"{match[1]}\n{parts[match[2]]().strip()}\n{match[3]}"

    return re.sub(r"(<!-- begin (\w+) -->)\n.*?(<!-- end \2 -->)", part, text, flags=re.DOTALL)


def _keys() -> str:
    sections = [
        ("Top level", "", _front_rows() + _rows(experiment_type())),
        ("model", "An option of `conf/model/`, or:", [*_rows(Model), *_brought()]),
        ("engine", "Every kind takes:", _rows(EngineSettings)),
        *_kinds("engine", EngineSettings, [kind.settings for kind in engine_kinds().values()]),
        ("topology", _says(Topology), _rows(Topology)),
        ("sampling", _says(Sampling), _rows(Sampling)),
        ("prompt", _says(Prompt), _rows(Prompt)),
        ("prompt.turns", f"A list; each is {_says(Turn)[0].lower()}{_says(Turn)[1:]}", _rows(Turn)),
        ("prompt.turns: generate", _says(Slot), [*_rows(Slot, Sampling), _ANY_SAMPLING]),
        ("dataset", "Every kind takes:", _rows(JsonlDataset)),
        ("dataset, kind csv", _says(CsvDataset), _rows(CsvDataset, JsonlDataset)),
        ("dataset, kind parquet", _says(ParquetDataset), _rows(ParquetDataset, JsonlDataset)),
        ("dataset.shard", _says(Shard), _rows(Shard)),
        ("scorers", "A map of names; every kind takes:", _rows(ScorerSettings)),
        *_kinds("scorers", ScorerSettings, [kind.settings for kind in scorer_kinds().values()]),
        ("output", _says(Output), _rows(Output)),
        ("cluster, kind local", _says(LocalCluster), _rows(LocalCluster)),
        ("cluster, kind inline", _says(InlineCluster), _rows(InlineCluster)),
        ("cluster, kind slurm", _says(SlurmCluster), _rows(SlurmCluster)),
    ]
    return "\n".join(_section(title, text, rows) for title, text, rows in sections)


def _section(title: str, text: str, rows: list[list[str]]) -> str:
    said = f"{text}\n\n" if text else ""
    listed = table(["key", "type", "default", "meaning"], rows) if rows else ""
    return f"### {title}\n\n{said}{listed}"


def _kinds(
    group: str, base: type[Spec], settings: Sequence[type[Spec]]
) -> list[tuple[str, str, list[list[str]]]]:
    return [
        (f"{group}, kind {kind.model_fields['kind'].default}", _says(kind), _rows(kind, base))
        for kind in settings
    ]


def _says(spec: type[Spec]) -> str:
    return " ".join(inspect.cleandoc(spec.__doc__ or "").split())


def _front_rows() -> list[list[str]]:
    return [[code(name), *row] for name, row in _FRONT.items()]


def _brought() -> list[list[str]]:
    names = ("engine", "topology", "sampling")
    return [[code(name), "option or map", "", f"The model's own {name}."] for name in names]


def _rows(spec: type[Spec], base: type[Spec] | None = None) -> list[list[str]]:
    """Return a row for each key of *spec* that *base* doesn't have."""
    schema = TypeAdapter(spec).json_schema(by_alias=True)
    known = set(base.model_fields) if base is not None else set()
    required = schema.get("required", [])
    return [
        [
            code(key),
            "option or map" if spec is experiment_type() and key in GROUPS else _type(one),
            _LEFT_OUT.get((spec.__name__, key)) or ("needed" if key in required else _default(one)),
            " ".join(one.get("description", "").split()),
        ]
        for key, one in schema["properties"].items()
        if key not in known and not (base is not None and key == "kind")
    ]


def _default(schema: Json) -> str:
    value = schema.get("default")
    if value is None or isinstance(value, dict) or value == []:
        return ""
    if isinstance(value, list):
        return code(f"[{', '.join(map(str, value))}]")
    return code(str(value).lower() if isinstance(value, bool) else str(value))


def _type(schema: Json) -> str:
    """Return a property's type in words."""
    options = schema.get("anyOf") or schema.get("oneOf")
    if options:
        words = [_type(one) for one in options if one.get("type") != "null"]
        return " or ".join(dict.fromkeys(words))
    if "const" in schema:
        return code(str(schema["const"]))
    if "enum" in schema:
        return ", ".join(code(str(value)) for value in schema["enum"])
    if "$ref" in schema or schema.get("type") == "object":
        return "map"
    if schema.get("type") == "array":
        return f"list of {_items(schema.get('items') or schema['prefixItems'][0])}"
    bounds = [f"{sign}{schema[name]}".removesuffix(".0") for name, sign in _BOUNDS.items() if name in schema]
    return " ".join([_WORDS[schema["type"]], *([", ".join(bounds)] if bounds else [])])


def _items(schema: Json) -> str:
    word = _type(schema)
    if word.startswith("integer"):
        return word.replace("integer", "integers", 1)
    return word if word == "text" else "maps"


def _commands() -> str:
    return "\n".join(_command(name, summary) for name, summary in COMMANDS.items())


def _command(name: str, summary: str) -> str:
    parser, command = command_parser(name)
    said = _described((command.__doc__ or "").strip())
    return f"## runner {name}\n\n{said}\n\n{_arguments(parser)}" if said else f"## {name}\n\n{summary}"


def _described(doc: str) -> str:
    """Return a docstring as Markdown, what is to be typed in blocks; Python's version decides on indents."""
    blocks = [
        f"```text\n{inspect.cleandoc(part)}\n```" if part.lstrip().startswith(_TYPED) else part
        for part in doc.split("\n\n")
    ]
    return "\n\n".join(blocks)


def _arguments(parser: argparse.ArgumentParser) -> str:
    """Return a table of a parser's arguments, and one for each of its subcommands."""
    actions = [one for one in parser._actions if one.help != argparse.SUPPRESS]  # noqa: SLF001 - argparse has no public list of them
    inner = [one for one in actions if isinstance(one, argparse._SubParsersAction)]  # noqa: SLF001 - the same
    own = [one for one in actions if one not in inner and one.dest != "help"]
    text = table(["argument", "meaning"], [[_spelled(one), one.help or ""] for one in own]) if own else ""
    for action in inner:
        for name, nested in action.choices.items():
            said = f"{nested.description}\n\n" if nested.description else ""
            text += f"\n### {parser.prog} {name}\n\n{said}{_arguments(nested)}"
    return text


def _spelled(action: argparse.Action) -> str:
    if not action.option_strings:
        name = str(action.metavar or action.dest)
        if action.choices is not None:
            name = ", ".join(map(str, action.choices))
        optional = action.nargs in {"?", "*"}
        return code(f"[{name}{' ...' if action.nargs == '*' else ''}]" if optional else name)
    value = "" if action.nargs == 0 else f" {action.metavar or action.dest.upper()}"
    if action.choices is not None:
        value = f" {'|'.join(map(str, action.choices))}"
    return ", ".join(code(option + value) for option in action.option_strings)


def _tree() -> str:
    doc = inspect.cleandoc(errors.__doc__ or "")
    return doc[doc.index("RunnerError") :].split("\n\n")[0]


def main() -> None:
    """Write every page that has generated parts."""
    for path, text in pages().items():
        path.write_text(text)
        print(path.relative_to(DOCS.parent))


if __name__ == "__main__":
    main()
