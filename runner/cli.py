"""The command line: finds the command, runs it, and turns errors into one message and an exit code."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from importlib import import_module
from io import BufferedWriter, FileIO, TextIOWrapper
from typing import TYPE_CHECKING, Protocol, TextIO, cast

from runner.errors import UNWRITABLE, RunnerError, UserError
from runner.notices import forget_notices

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

COMMANDS = {
    "run": "run an experiment",
    "plan": "show what a run would do: jobs, requests, cache hits, tokens",
    "render": "show the messages of some rows as they would be sent",
    "status": "show how a run stands, from any terminal, at any time",
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

_STREAMS = frozenset({"logs", "render"})
"""Commands that end with their reader, as with ``| head``; all others do what they are for, read or not."""

_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if argv is None and not _STREAMS.intersection(arguments[:1]):
        sys.stdout, sys.stderr = _outliving(sys.stdout), _outliving(sys.stderr)
    if "_ARGCOMPLETE" in os.environ:
        import_module("runner.commands.completion").complete(COMMANDS)
    forget_notices()
    try:
        return _run(arguments)
    except RunnerError as error:
        print(f"runner: {_masked(str(error))}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("runner: interrupted", file=sys.stderr)
        return _INTERRUPTED
    except OSError as error:
        return _exit_after(error)


def _exit_after(error: OSError) -> int:
    """Say what the system refused, and return the exit code; what only a bug asks of it is raised again."""
    if isinstance(error, BrokenPipeError):
        # The reader of our output has gone; what Python would still flush has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    if isinstance(error, (PermissionError, NotADirectoryError, FileExistsError, IsADirectoryError)):
        print(f"runner: {error.filename}: {error.strerror}", file=sys.stderr)
        return UserError.exit_code
    if error.errno in UNWRITABLE:
        where = f"{error.filename} can't be written: " if error.filename else ""
        print(f"runner: {where}{error.strerror}", file=sys.stderr)
        return RunnerError.exit_code
    raise error


class _Output(FileIO):
    """Standard output or error; what is written once its reader has gone is dropped."""

    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            return super().write(data)


def _outliving(stream: TextIO) -> TextIO:
    """Return *stream* as one that its reader may leave."""
    if not isinstance(stream, TextIOWrapper):
        return stream
    return TextIOWrapper(
        BufferedWriter(_Output(stream.fileno(), "w", closefd=False)),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering or stream.write_through,
    )


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
        raise UserError(f"{name} takes no {unknown[0]}; {_meant(unknown[0], options)}")
    return command.main(parsed)


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

        print(f"runner {__version__}")
        parser.exit()
