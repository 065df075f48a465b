"""Print the script with which your shell completes commands, files, overrides and run names.

eval "$(runner completion bash)"        in ~/.bashrc
eval "$(runner completion zsh)"         in ~/.zshrc, after compinit
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path

import argcomplete
from argcomplete.completers import BaseCompleter, FilesCompleter
from argcomplete.shell_integration import shellcode

from runner.errors import RunnerError
from runner.files import entries
from runner.terminal import escape, write


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("shell", choices=["bash", "zsh"], help="your shell")


def main(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    write(shellcode(["runner"], shell=arguments.shell))
    return 0


def complete(known: Mapping[str, str]) -> None:
    """Answer the shell's question, and end the process; argcomplete set it in the environment.

    Args:
        known: every command with its one-line summary.
    """
    words = os.environ.get("COMP_LINE", "").split()[1:]
    parser = argparse.ArgumentParser(prog="runner", allow_abbrev=False)
    commands = parser.add_subparsers(dest="command")
    for name, summary in known.items():
        if words[:1] == [name]:
            # The parser of the command being typed; the others' modules are not imported.
            own = commands.add_parser(name, help=summary, allow_abbrev=False)
            import_module(f"runner.commands.{name}").add_arguments(own)
            _put_options_first(own)
        else:
            commands.add_parser(name, help=summary)
    argcomplete.autocomplete(parser, always_complete_options=False, default_completer=_Completer())


def _put_options_first(parser: argparse.ArgumentParser) -> None:
    """Move a command's options in front of its other words, in the line that the shell asks about.

    argparse gives an argument of many words those on one side of an option only. The commands themselves are
    parsed intermixed, which argcomplete can't do.
    """
    typed = os.environ["COMP_LINE"][: int(os.environ["COMP_POINT"])]
    runner, command, *words = typed.split()
    current = words.pop() if words and not typed[-1].isspace() else ""
    known = parser._option_string_actions  # noqa: SLF001 - argparse has no other word for it
    options: list[str] = []
    others: list[str] = []
    while words:
        word = words.pop(0)
        (options if word.startswith("-") else others).append(word)
        if word in known and known[word].nargs != 0:
            if not words:
                return  # its value is what is being typed
            options.append(words.pop(0))
    line = " ".join([runner, command, *options, *others, current])
    if options and others:
        os.environ |= {"COMP_LINE": line, "COMP_POINT": str(len(line))}


class _Completer(BaseCompleter):
    """Completes the word of any argument by the argument's name; never an error on the user's prompt."""

    def __call__(
        self, *, prefix: str, action: argparse.Action, parsed_args: argparse.Namespace, **_: object
    ) -> Iterable[str]:
        try:
            words = list(_of(prefix, action.dest, parsed_args))
        except RunnerError:
            return []
        return [word for word in words if escape(word) == word]  # the shell would print it as it is


def _of(prefix: str, name: str, arguments: argparse.Namespace) -> Iterable[str]:
    if name == "file":
        return [*FilesCompleter(["yaml", "yml"])(prefix), *_experiments(prefix)]
    if name == "overrides":
        from runner.config import completions

        file = getattr(arguments, "file", None)
        return completions(Path(file) if file else None, prefix)
    if name == "run":
        return _runs(prefix, arguments)
    if name in {"job", "point"} and getattr(arguments, "run", None):
        return _inside(name, prefix, arguments)
    return FilesCompleter()(prefix) if name in {"runs", "dir", "output"} else []


def _experiments(prefix: str) -> list[str]:
    from runner.shipped import shipped

    folders = (Path.cwd() / "experiments", shipped() / "experiments")
    names = {path.stem for folder in folders for path in entries(folder) if path.suffix == ".yaml"}
    return sorted(name for name in names if name.startswith(prefix))


def _runs(prefix: str, arguments: argparse.Namespace) -> list[str]:
    from runner.commands.arguments import runs_folder
    from runner.runs import all_runs

    names = ["last", *(run.name for run in all_runs(runs_folder(arguments)))]
    return [name for name in names if name.startswith(prefix)]


def _inside(name: str, prefix: str, arguments: argparse.Namespace) -> list[str]:
    from runner.commands.arguments import run_from

    run = run_from(arguments)
    folder = run.path / f"{name}s"
    return sorted(path.name for path in entries(folder) if path.name.startswith(prefix))
