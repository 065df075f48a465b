"""The package of docs/extensions.md installs from the page's text, runs, and counts as the page says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.docs.docs_kit import ROOT, blocks
from tests.docs.walk_kit import Shell, install, where

PAGE = ROOT / "docs" / "extensions.md"
ENGINE, SCORER = "shouting/shouting/engine.py", "shouting/shouting/scorer.py"


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an environment of this module's own: packages are installed into it."""
    return install(tmp_path_factory.mktemp("extended") / "venv")


@pytest.fixture
def shell(programs: Path, tmp_path: Path) -> Shell:
    """Return a shell in a folder with the page's files, whose package is installed as the page says."""
    folder = tmp_path / "work"
    for block in blocks(PAGE):
        if block.path:
            file = folder / block.path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text)
    (folder / "shouting/shouting/__init__.py").touch()
    shell = Shell(programs, folder)
    _install(shell)
    return shell


def _install(shell: Shell) -> None:
    """Install the package in the state that it is in, by the page's command."""
    shutil.rmtree(where(shell.programs).parent / "shouting", ignore_errors=True)
    (command,) = [b.text for b in blocks(PAGE) if b.info == "sh" and b.text.startswith("pip")]
    done = shell.type(command.replace("install", "install --force-reinstall"))
    assert done.code == 0, done.output


def _edit(shell: Shell, file: str, old: str, new: str) -> None:
    """Change the package's text, and what is installed: of a module by itself, else by installing anew."""
    path = shell.folder / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    if path.suffix == ".py":
        package = where(shell.programs).parent / "shouting"
        shutil.copytree(shell.folder / "shouting/shouting", package, dirs_exist_ok=True)
    else:
        _install(shell)


def _run(shell: Shell) -> str:
    """Run the page's experiment by the page's command; it is complete."""
    (command,) = [b.text for b in blocks(PAGE) if b.info == "sh" and b.text.startswith("runner")]
    done = shell.type(command)
    assert done.code == 0, done.output
    return done.output


def _explain(shell: Shell) -> str:
    return shell.type("runner cache explain shout.yaml --row a").output


def test_page_shows_a_package_that_runs(shell: Shell) -> None:
    """Its files, its commands and nothing else: engine and scorer are listed, described, run and scored."""
    output = _run(shell)

    assert "prefix" in output
    assert "0.500" in output or "1.000" in output
    assert "answers in capitals" in shell.type("runner doctor").output
    assert "What every answer ends in." in shell.type("runner schema").output


def test_page_shows_an_engine_that_streams(shell: Shell) -> None:
    """What `stream` yields is a stream for the Python API."""
    llm = "LLM({'name': 'any'}, engine={'kind': 'shout', 'ending': '?'}, cache=False)"
    shell.folder.joinpath("ask.py").write_text(
        f"from runner import LLM\n\nprint(*{llm}.stream_sync('hello').chunks())\n"
    )
    done = shell.type("python ask.py")

    assert done.code == 0, done.output
    assert "text='HELLO?'" in done.output
    assert "finish_reason='stop'" in done.output


def test_provenance_names_the_code(shell: Shell) -> None:
    """Distribution, version and a hash, of the engine as of the scorer."""
    _run(shell)
    (file,) = shell.folder.glob("runs/*/*/provenance.json")
    code = json.loads(file.read_text())["user_code"]

    assert set(code) == {"engine shout", "scorer prefix"}
    for named in code.values():
        assert (named["distribution"], named["version"]) == ("shouting", "1.0.0")
        assert len(named["sha256"]) == 64
    assert code["engine shout"]["sha256"] != code["scorer prefix"]["sha256"]


def test_engine_code_counts_in_the_key(shell: Shell) -> None:
    """The same code is answered from the cache; after a change everything is sent again."""
    _run(shell)
    assert "complete: 100 % cached, 0 requests" in _run(shell)

    _edit(shell, ENGINE, ".upper()", ".lower()")

    assert "engine.user-code" in _explain(shell)
    assert "complete: 2 requests" in _run(shell)


def test_version_counts_in_the_key(shell: Shell) -> None:
    """So that an author can tell of a change that no hash covers."""
    _run(shell)
    _edit(shell, "shouting/pyproject.toml", "1.0.0", "1.0.1")

    assert "complete: 2 requests" in _run(shell)


def test_helper_module_counts_with_whoever_imports_it(shell: Shell) -> None:
    """Be it imported relatively, inside a function, or by another helper."""
    helpers = shell.folder / "shouting/shouting/helpers"
    helpers.mkdir()
    (helpers / "__init__.py").touch()
    (helpers / "one.py").write_text("def mark():\n    from . import two\n\n    return two.MARK\n")
    (helpers / "two.py").write_text("MARK = 1\n")
    _edit(
        shell,
        ENGINE,
        "        text = str",
        "        from .helpers.one import mark\n\n        mark()\n        text = str",
    )
    _run(shell)
    _edit(shell, "shouting/shouting/helpers/two.py", "1", "2")

    assert "complete: 2 requests" in _run(shell)


def test_scorer_code_is_no_part_of_the_key(shell: Shell) -> None:
    """What was paid for stays when only a scorer of the same package changes; it scores anew."""
    first = _run(shell)
    _edit(shell, SCORER, "float(text.startswith(target))", "0.0")
    second = _run(shell)

    assert "complete: 100 % cached, 0 requests" in second
    assert first != second
    assert "0.000" in second


@pytest.mark.parametrize(("file", "named"), [(ENGINE, "engine shout"), (SCORER, "scorer prefix")])
def test_resume_stops_where_the_code_has_changed(shell: Shell, file: str, named: str) -> None:
    """With exit code 2 and nothing launched; with the code put back it goes on."""
    failing = "        raise RuntimeError\n        text = str"
    _edit(shell, ENGINE, "        text = str", failing)
    assert shell.type("runner run shout.yaml").code == 1
    _edit(shell, file, '"""', '"""\n')
    refused = shell.type("runner resume last")

    assert refused.code == 2, refused.output
    assert f"the code of {named} has changed since this run was launched" in refused.output
    assert len(list(shell.folder.glob("runs/*/*/jobs/*/2"))) == 0

    _edit(shell, file, '"""\n', '"""')
    assert "the code of" not in shell.type("runner resume last").output


def test_rescore_uses_the_code_that_is_installed(shell: Shell) -> None:
    """It is how a scorer that was wrong is put right."""
    _run(shell)
    _edit(shell, SCORER, "float(text.startswith(target))", "0.0")
    done = shell.type("runner rescore last scorers=[prefix]")

    assert done.code == 0, done.output
    assert "0.000" in done.output


@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        ("shouting/pyproject.toml", "shout = ", "fake = ", "'fake' ships with the runner"),
        ("shouting/pyproject.toml", "engine:KIND", "motor:KIND", "can't be imported: ModuleNotFoundError"),
        ("shouting/pyproject.toml", "engine:KIND", "engine:KINDS", "can't be imported: AttributeError"),
        (ENGINE, "KIND = EngineKind(", "KIND = dict(", "is dict, expected an instance of EngineKind"),
        (ENGINE, 'Literal["shout"] = "shout"', 'Literal["loud"] = "loud"', "the settings' `kind` is 'loud'"),
        (SCORER, "KIND = ScorerKind(", "KIND = tuple([", "can't be imported: SyntaxError"),
        (SCORER, "KIND = ScorerKind(", "KIND = 1 / 0, (", "can't be imported: ZeroDivisionError"),
    ],
)
def test_broken_package_is_refused_by_name(shell: Shell, file: str, old: str, new: str, told: str) -> None:
    """One message that names the entry point and its package; no traceback, no run folder."""
    _edit(shell, file, old, new)
    done = shell.type("runner run shout.yaml")

    assert done.code == 2, done.output
    assert told in done.output
    assert "shouting 1.0.0" in done.output
    assert "Traceback" not in done.output
    assert not (shell.folder / "runs").exists()


@pytest.mark.parametrize("command", ["status last", "rescore last scorers=[exact_match]"])
def test_run_whose_package_is_gone_names_it(shell: Shell, command: str) -> None:
    """It is whole all the same, and what is to be installed is said."""
    _run(shell)
    shell.type("pip uninstall --yes shouting")
    done = shell.type(f"runner {command}")

    assert done.code == 2, done.output
    assert "install the package that has it, shouting 1.0.0" in done.output
    assert "damaged" not in done.output


def test_two_packages_of_one_name_are_refused(shell: Shell) -> None:
    """Which of them would be taken is nobody's choice."""
    file = shell.folder / "shouting/pyproject.toml"
    text = file.read_text().replace('name = "shouting"', 'name = "louder"').replace("engine:KIND", "engine:X")
    file.write_text(f'{text}\n[tool.hatch.build.targets.wheel]\npackages = ["shouting"]\n')
    assert shell.type("pip install --no-deps --no-build-isolation ./shouting").code == 0
    done = shell.type("runner run shout.yaml")
    shell.type("pip uninstall --yes louder")

    assert done.code == 2, done.output
    assert "louder 1.0.0" in done.output
    assert "shouting 1.0.0" in done.output
