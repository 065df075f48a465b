"""Show what a run's jobs wrote: the logs of the newest attempt of each, or of one job.

Where a job never began, what its submission left is shown instead. Secrets are masked, colours left out, and
other control characters escaped.
"""

from __future__ import annotations

import argparse
import re
import time
from codecs import getincrementaldecoder
from collections.abc import Collection, Sequence
from io import IncrementalNewlineDecoder
from pathlib import Path

from runner.commands.arguments import add_run, run_from, unknown
from runner.commands.console import console, shown
from runner.errors import UserError
from runner.launch import JobState, job_states, read_submission
from runner.launch.attempts import attempts
from runner.launch.submission import submitit_stderr
from runner.masking.forms import MaskedStream, Masker
from runner.outcome import secret_env
from runner.resolved import check_jobs
from runner.runs import RunFolder
from runner.secrets import Secrets
from runner.terminal import write, write_error

_SECONDS = 0.5
_SLURM_SECONDS = 5.0
_COLOUR = re.compile("\x1b\\[[0-9;:]*m")
_COLOUR_BEGUN = re.compile("\x1b(\\[[0-9;:]{0,40})?\\Z")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_run(parser)
    parser.add_argument("job", nargs="?", help="name of one job (default: all)")
    parser.add_argument("-f", "--follow", action="store_true", help="go on until the jobs have ended")
    parser.add_argument("--attempt", type=int, metavar="N", help="number of an attempt (default: the newest)")


def main(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    run = run_from(arguments)
    check_jobs(run)
    names = _names(run, arguments.job)
    tail, notices = _Tail(Secrets.of_environment(secret_env(run))), _Notices(run)
    while True:
        # Looked at before the files: what a job wrote last is there once its state says that it ended.
        states = _states(run, names)
        tail.print_new(_files(run, states, arguments.attempt))
        if arguments.follow:
            notices.print_new(states, tail.seen)
        if not (arguments.follow and any(state.active for state in states)):
            break
        time.sleep(_SLURM_SECONDS if any(state.slurm for state in states) else _SECONDS)
    tail.finish()
    if not tail.printed and not notices.printed:
        _explain(states)
    return 0


def _names(run: RunFolder, given: str | None) -> list[str]:
    names = [folder.name for folder in run.jobs]
    if given is None:
        return names
    if given not in names:
        raise UserError(unknown(f"job in {run.name} named", given, names))
    return [given]


def _states(run: RunFolder, names: Sequence[str]) -> list[JobState]:
    found = job_states(run.path, secret_env(run))
    return [found[name] for name in names]


def _files(run: RunFolder, states: Sequence[JobState], attempt: int | None) -> list[Path]:
    """Return the logs to show, in the jobs' order."""
    return [file for state in states for file in _files_of(run, state, attempt)]


def _files_of(run: RunFolder, state: JobState, wanted: int | None) -> list[Path]:
    folder = run.job(state.name)
    tried = attempts(folder)
    if wanted is not None:
        if wanted not in {one.number for one in tried}:
            known = ", ".join(str(one.number) for one in tried) or "none"
            raise UserError(f"job {state.name} has no attempt {wanted}; there are: {known}")
        return _logs(folder / str(wanted))
    submission = read_submission(folder)
    # What submitit kept says why a worker never began, or failed before it had logs of its own.
    kept = [submitit_stderr(run.path, submission)] if submission is not None else []
    return _logs(state.attempt.path) or kept if state.attempt is not None else kept


def _logs(attempt: Path) -> list[Path]:
    """Return the logs of an attempt that hold anything, stdout.log last."""
    written = (path for path in attempt.glob("*.log") if path.stat().st_size)
    return sorted(written, key=lambda path: (path.name == "stdout.log", path.name))


class _Text:
    """A log as a terminal shows it: secrets masked, each step of a bar on a line, without colours.

    Servers colour their logs even where they write into a file. All else that a terminal obeys is escaped.
    """

    def __init__(self, masker: Masker) -> None:
        self._stream = MaskedStream(masker)
        self._decoder = IncrementalNewlineDecoder(getincrementaldecoder("utf-8")("replace"), translate=True)
        self._held = ""

    def feed(self, data: bytes, *, last: bool = False) -> str:
        """Take in what a file has grown by, and return what can be shown of it now."""
        text = self._held + self._decoder.decode(self._stream.feed(data, last=last), final=last)
        cut = None if last else _COLOUR_BEGUN.search(text)
        self._held = text[cut.start() :] if cut else ""
        return _COLOUR.sub("", text[: cut.start()] if cut else text)


class _Tail:
    """Prints what files have grown by since the last look, under a line that names the file."""

    def __init__(self, secrets: Secrets) -> None:
        self._masker = secrets.masker
        self._texts: dict[Path, _Text] = {}
        self.printed = False
        self.seen: dict[Path, int] = {}
        self._current: Path | None = None

    def print_new(self, files: Sequence[Path]) -> None:
        """Print what is new in *files*."""
        for file in files:
            try:
                with file.open("rb") as stream:
                    stream.seek(self.seen.get(file, 0))
                    new = stream.read()
            except FileNotFoundError:
                continue
            if new:
                self.seen[file] = self.seen.get(file, 0) + len(new)
                text = self._texts.setdefault(file, _Text(self._masker))
                self._print(file, text.feed(new))

    def finish(self) -> None:
        """Print what was held back, since it could have been the beginning of something."""
        for file, text in self._texts.items():
            if rest := text.feed(b"", last=True):
                self._print(file, rest)

    def _print(self, file: Path, text: str) -> None:
        if file != self._current:
            blank = "\n" if self.printed else ""
            write(f"{blank}==> {shown(file)} <==")
            self._current = file
        write(text, end="")
        self.printed = True


class _Notices:
    """Says of jobs under way which files are followed, where these are empty as yet, and how a job ended.

    On standard error, so that a log can be piped on as it is.
    """

    def __init__(self, run: RunFolder) -> None:
        self.printed = False
        self._run = run
        self._said: set[tuple[str, Path | None]] = set()
        self._active: set[str] = set()

    def print_new(self, states: Sequence[JobState], seen: Collection[Path]) -> None:
        """Print what is new, once; *seen* are the files that had something to show."""
        for state in states:
            if state.active:
                self._active.add(state.name)
                self._follow(state, seen)
            elif state.name in self._active:
                self._active.discard(state.name)
                self._print(f"{state.name}: {state.state}" + (f": {state.reason}" if state.reason else ""))

    def _follow(self, state: JobState, seen: Collection[Path]) -> None:
        folder = state.attempt.path if state.attempt is not None else None
        if (state.name, folder) in self._said or any(file.parent == folder for file in seen):
            return
        self._said.add((state.name, folder))
        submission = read_submission(self._run.job(state.name))
        if submission is not None and submission.kind == "inline":
            self._print(f"{state.name}: runs inside its command, which shows what it prints")
        elif folder is None:
            why = f" ({state.reason})" if state.reason else ""
            self._print(f"{state.name}: {state.state}{why}; it hasn't begun to write logs")
        else:
            self._print(f"{state.name}: following {shown(folder)}/*.log; nothing is written yet")

    def _print(self, text: str) -> None:
        self.printed = True
        write_error(text)


def _explain(states: Sequence[JobState]) -> None:
    """Say why there is nothing to show."""
    out = console()
    for state in states:
        if state.attempt is None:
            out.print(f"{state.name}: {state.state.replace('_', ' ')}, it has written nothing")
        else:
            why = f": {state.reason}" if state.reason else ""
            out.print(f"{state.name}: {state.state}{why}; its logs in {shown(state.attempt.path)} are empty")
