"""Every block of the documentation does what it says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from runner.cli import command_parser, main
from runner.config import compose
from runner.errors import ConfigError
from runner.plan import make_plan
from tests.docs.docs_kit import IDS, PAGES, ROOT, Block, Shown, blocks, commands, plain

MAKEFILE = ROOT / "Makefile"
_MAKE: dict[tuple[str, ...], tuple[str, ...]] = {
    ("make", "run"): ("runner", "run", "experiments/addition.yaml")
}


def _cases(*, option: bool) -> list[tuple[Path, Block]]:
    return [
        (page, block)
        for page in PAGES
        for block in blocks(page)
        if (block.is_option if option else block.is_experiment)
    ]


def _names(cases: list[tuple[Path, Block]]) -> list[str]:
    return [f"{page.name}:{block.line}" for page, block in cases]


EXPERIMENTS, OPTIONS = _cases(option=False), _cases(option=True)


@pytest.mark.parametrize(("page", "block"), EXPERIMENTS, ids=_names(EXPERIMENTS))
def test_documented_experiment_plans(project: Path, block: Block) -> None:
    """Each experiment in the docs composes, is valid, and every one of its points can run."""
    file = project / (block.path or "experiments/block.yaml")
    file.write_text(f"extends: addition\n{block.text}" if block.info == "yaml part" else block.text)

    assert make_plan(compose(file)).points


@pytest.mark.parametrize(("page", "block"), OPTIONS, ids=_names(OPTIONS))
def test_documented_option_can_be_chosen(project: Path, block: Block) -> None:  # noqa: ARG001 - it is the current folder
    """Each option in the docs is valid in the shipped experiment."""
    _, group, name = Path(block.path).with_suffix("").parts
    choice = f"[{name}]" if group == "scorers" else name

    assert make_plan(compose("addition", [f"{group}={choice}"])).points


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_documented_commands_work(project: Path, page: Path, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: ARG001 - it is the current folder
    """Each command in the docs is understood; what is shown under one is what it prints."""
    for shown in commands(page):
        words = _MAKE.get(shown.words, shown.words)
        if words[0] != "runner":
            continue
        if shown.output:
            _check_output(words, shown, capsys)
        else:
            _check_arguments(words)


def _check_output(words: tuple[str, ...], shown: Shown, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(words[1:])
    captured = capsys.readouterr()
    printed = [plain(line) for line in (captured.out + captured.err).splitlines()]

    assert code in {0, 2, 3}, captured.err
    for line in shown.output:
        if line.strip() != "..." and not _told_by_make(line, shown):
            assert plain(line) in printed, captured.out + captured.err


def _told_by_make(line: str, shown: Shown) -> bool:
    """Tell whether the Makefile itself prints a line, and not the command that it runs."""
    return shown.words in _MAKE and f'echo "{line}"' in MAKEFILE.read_text().replace("$(bin)", ".venv/bin")


def _check_arguments(words: tuple[str, ...]) -> None:
    parser, _ = command_parser(words[1])
    arguments = parser.parse_intermixed_args(words[2:])
    file = getattr(arguments, "file", None)
    if file and file != "FILE":
        try:
            assert make_plan(compose(file, arguments.overrides, multirun=arguments.multirun)).points
        except ConfigError as error:
            # An engine that the reader is told to install may be missing here; nothing else may be wrong.
            if any("which is not installed" not in fault.problem for fault in error.faults):
                raise


def test_make_run_runs_the_documented_experiment() -> None:
    """The README shows what ``make run`` prints; this is the command it stands for."""
    for words in _MAKE.values():
        program, *arguments = words
        assert f'"$(bin)/{program}" {" ".join(arguments)}\n' in MAKEFILE.read_text()


def test_make_run_says_how_to_have_the_runner_on_the_path(tmp_path: Path) -> None:
    """Only where it isn't there: what it shows as the next command has to work."""
    programs = tmp_path / "venv" / "bin"
    programs.mkdir(parents=True)
    (programs / "python").symlink_to(sys.executable)
    (programs / "runner").write_text(f'#!/bin/sh\nexec {sys.executable} -m runner "$@"\n')
    (programs / "runner").chmod(0o755)

    hint = f"before:  . {programs}/activate    puts runner on the PATH"
    bare = _made(tmp_path, os.defpath)
    activated = _made(tmp_path, f"{programs}:{os.defpath}")

    assert bare.splitlines()[-1] == hint
    assert hint not in activated
    assert "complete: " in activated


def _made(folder: Path, path: str) -> str:
    """Return what `make run` prints where the virtual environment in *folder* is there already."""
    done = subprocess.run(
        ["make", "--old-file=run-environment", "run", f"VENV={folder}/venv"],
        cwd=ROOT,
        env={
            "PATH": path,
            "PYTHONPATH": str(ROOT),
            "RUNNER_RUNS": str(folder / "runs"),
            "XDG_CACHE_HOME": str(folder / "cache"),
            "XDG_CONFIG_HOME": str(folder / "config"),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout
