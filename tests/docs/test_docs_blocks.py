"""Every block of the documentation does what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.cli import command_parser, main
from runner.config import compose
from runner.errors import ConfigError
from runner.plan import make_plan
from tests.docs.docs_kit import IDS, PAGES, Block, Shown, blocks, commands, plain

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
        if line.strip() != "...":
            assert plain(line) in printed, captured.out + captured.err


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
    makefile = (PAGES[0].parent / "Makefile").read_text()

    for words in _MAKE.values():
        assert f"$(bin)/{' '.join(words)}\n" in makefile
