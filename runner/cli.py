"""The command line: finds the command, runs it, and turns errors into one message and an exit code."""

from __future__ import annotations

import argparse
import os
import re
import sys
import traceback
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from importlib import import_module
from types import TracebackType
from typing import Protocol, cast

from runner.collector import collect_rarely
from runner.errors import EXHAUSTED, UNWRITABLE, RunnerError, UserError
from runner.notices import forget_notices
from runner.streams import Streams, require_utf8
from runner.terminal import escaped_output, write, write_error

COMMANDS = {
    "run": "run an experiment",
    "plan": "show what a run would do: jobs, requests, cache hits, tokens",
    "render": "show the messages of some rows as they would be sent",
    "status": "show how a run stands, from any terminal, at any time",
    "show": "show single results: prompt, answer, target, scores",
    "logs": "show the logs of a run's jobs",
    "cancel": "cancel a run or one of its points",
    "resume": "ask what a run is missing",
    "parity": "run the same rows on several engines, and show how far their answers agree",
    "rescore": "score stored responses anew; no request is sent",
    "cache": "show what the cache holds, or why a request missed it",
    "init": "write a first experiment into a folder",
    "schema": "print the JSON Schema of an experiment file, for editors",
    "doctor": "show what is here: packages, GPUs, keys, Slurm, folders",
    "completion": "make your shell complete commands, files, overrides and runs",
}
"""Every command with its one-line summary; `runner.commands.NAME` holds it."""

_STREAMS = frozenset({"logs", "render", "show"})
"""Commands that end with their reader, as with ``| head``; all others do what they are for, read or not."""

_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    if argv is not None:
        with escaped_output():
            return _guarded(list(argv))
    arguments = sys.argv[1:]
    sys.excepthook = _report_bug
    streams = Streams(end_with_reader=bool(_STREAMS.intersection(arguments[:1])))
    try:
        code = _guarded(arguments)
    except SystemExit as exit_:
        code = exit_.code if isinstance(exit_.code, int) else 0
    try:
        failures = streams.finish()
    except OSError as error:
        return _exit_after(error)
    for failure in failures:
        write_error(f"runner: {failure.filename} can't be written: {failure.strerror}")
    return code or (RunnerError.exit_code if failures else 0)


def _guarded(arguments: list[str]) -> int:
    """Run a command; turn what it raises into one message and an exit code."""
    collect_rarely()
    try:
        for number, argument in enumerate(arguments, 1):
            require_utf8(argument, f"argument {number}")
        if "_ARGCOMPLETE" in os.environ:
            import_module("runner.commands.completion").complete(COMMANDS)
        forget_notices()
        return _run(arguments)
    except RunnerError as error:
        write_error(f"runner: {_masked(str(error))}")
        return error.exit_code
    except KeyboardInterrupt:
        write_error("runner: interrupted")
        return _INTERRUPTED
    except OSError as error:
        return _exit_after(error)


def _exit_after(error: OSError) -> int:
    """Say what the system refused, and return the exit code; what only a bug asks of it is raised again."""
    if isinstance(error, BrokenPipeError):
        return 0  # the reader of our output has gone
    if isinstance(error, (PermissionError, NotADirectoryError, FileExistsError, IsADirectoryError)):
        write_error(f"runner: {error.filename}: {error.strerror}")
        return UserError.exit_code
    if error.errno in EXHAUSTED:
        write_error(f"runner: {error.strerror}: raise the limit (ulimit -n)")
        return RunnerError.exit_code
    if error.errno in UNWRITABLE:
        where = f"{error.filename} can't be written: " if error.filename else ""
        write_error(f"runner: {where}{error.strerror}")
        return RunnerError.exit_code
    raise error


def _report_bug(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print the traceback of a bug; what it quotes may hold a secret."""
    write_error(_masked("".join(traceback.format_exception(kind, error, trace))).rstrip("\n"))


def _masked(message: str) -> str:
    """Return an error's text without the value of any variable whose name says secret."""
    from runner.secrets import Secrets

    return Secrets.of_environment().mask(message)


def _run(arguments: list[str]) -> int:
    if not arguments or arguments[0].startswith("-"):
        _overview().parse_args(arguments or ["--help"])
        return 0
    name = arguments[0]
    if name not in COMMANDS:
        raise UserError(f"there is no command {name!r}; {_meant(name, COMMANDS)}")
    parser, command = command_parser(name)
    parsed, unknown = parser.parse_known_intermixed_args(arguments[1:])
    if unknown:
        options = re.findall(r"^  (?:-\w.*?, )?(--[a-z-]+)", parser.format_help(), re.MULTILINE)
        raise UserError(f"{name} takes no {unknown[0]}; {_instead(unknown[0], options)}")
    require_utf8(_working_folder(), "the current folder")
    return command.main(parsed)


def _working_folder() -> str:
    try:
        return os.getcwd()  # noqa: PTH109 - the same
    except FileNotFoundError:
        raise UserError("the current folder no longer exists; change to another one") from None


def _instead(option: str, options: list[str]) -> str:
    """Return what to type instead of an option that a command lacks: settings are no options here."""
    if option in {"--dry-run", "--dry_run"}:
        return "runner plan FILE shows what a run would do"
    flag, _, value = option.partition("=")
    key = _key(flag.lstrip("-").replace("-", "_"))
    return f"keys are given as {key}={value or 'VALUE'}" if key else _meant(flag, options)


def _key(name: str) -> str:
    """Return the key of an experiment that a name most likely means, or nothing."""
    from runner.spec import Experiment, JsonlDataset, Sampling

    if name in Experiment.model_fields:
        return name
    groups = {"sampling": Sampling.model_fields, "dataset": JsonlDataset.model_fields}
    return next((f"{group}.{name}" for group, fields in groups.items() if name in fields), "")


def _meant(given: str, known: Iterable[str]) -> str:
    """Return the nearest of the *known* names, or where none is near, all of them."""
    listed = list(known)
    near = get_close_matches(given, listed, n=1)
    return f"did you mean {near[0]}?" if near else f"there are: {', '.join(listed)}"


class Command(Protocol):
    """What each module of `runner.commands` named in `COMMANDS` holds."""

    __doc__: str | None

    @staticmethod
    def add_arguments(parser: argparse.ArgumentParser) -> None: ...

    @staticmethod
    def main(arguments: argparse.Namespace) -> int: ...


def command_parser(name: str) -> tuple[argparse.ArgumentParser, Command]:
    """Return a command's parser and module."""
    command = cast("Command", import_module(f"runner.commands.{name}"))
    parser = argparse.ArgumentParser(
        prog=f"runner {name}",
        description=command.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.add_arguments(parser)
    return parser, command


def _overview() -> argparse.ArgumentParser:
    width = max(map(len, COMMANDS))
    listed = "\n".join(f"  {name:<{width}}  {summary}" for name, summary in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="runner",
        usage="runner COMMAND ...",
        description=f"A declarative runner for LLM experiments.\n\ncommands:\n{listed}\n",
        epilog="runner COMMAND --help tells more; start with: runner init my-experiment",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help=argparse.SUPPRESS)
    return parser


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from runner import __version__

        write(f"runner {__version__}")
        parser.exit()
