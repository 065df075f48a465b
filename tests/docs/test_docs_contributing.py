"""The examples for contributors work as they are shown."""

from __future__ import annotations

import asyncio
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from runner.spec import Model
from runner.values import Request, Scope
from tests.docs.docs_kit import ROOT, blocks

EXAMPLES = {block.path: block.text for block in blocks(ROOT / "CONTRIBUTING.md") if block.path}


def _module(path: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Import an example under the name that its place in the package would give it."""
    name = path.removesuffix(".py").replace("/", ".")
    file = folder / Path(path).name
    file.write_text(EXAMPLES[path])
    spec = spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


def test_example_engine_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine of the example is built by its kind and answers a request."""
    kind = _module("runner/engines/shout.py", tmp_path, monkeypatch).KIND
    request = Request("chat", ({"role": "user", "content": "so"},), {}, Scope({}, {}))
    engine = kind.create(kind.settings(mark="?"), Model(name="any"))

    assert kind.name == "shout"
    assert asyncio.run(engine.generate(request)).text == "SO?"


def test_example_scorer_scores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The scorer of the example is built by its kind and tells right from wrong."""
    kind = _module("runner/scoring/prefix.py", tmp_path, monkeypatch).KIND
    scorer = kind.create(kind.settings())

    assert (scorer.score("42 is it", "42").value, scorer.score("24", "42").value) == (1, 0)


def test_example_command_prints_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command of the example is found by the command line and does what its docstring says."""
    run = tmp_path / "runs" / "sums" / "20260102T030405-abcd"
    run.mkdir(parents=True)
    (run / "resolved.json").write_text("{}")
    _module("runner/commands/where.py", tmp_path, monkeypatch)
    from runner.cli import command_parser

    parser, command = command_parser("where")
    code = command.main(parser.parse_args(["last", "--runs", str(tmp_path / "runs")]))

    assert code == 0
    assert capsys.readouterr().out.strip() == str(run)
