"""Sends a worker's output into its attempt's folder."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path

from runner.launch.attempts import Attempt
from runner.launch.kept import mask_files
from runner.masking import Masking
from runner.terminal import write_error

STDOUT_FILE = "stdout.log"
STDERR_FILE = "stderr.log"


@contextmanager
def redirect_output(attempt: Attempt, secrets: Sequence[str] = ()) -> Iterator[None]:
    """Send descriptors 1 and 2, for children too, into stdout.log and stderr.log.

    With *secrets* the output passes through a child process that masks these values; it survives a
    crash of the worker, and what a setup line printed is masked where Slurm put it. On leaving, the old
    descriptors are back and all that was printed is in the files. An error is printed there too and ends
    the process with code 1: submitit would write it where nothing masks it.
    """
    if secrets:
        mask_files(_kept_logs(), secrets)
    files = [_append(attempt.path / name) for name in (STDOUT_FILE, STDERR_FILE)]
    masker = Masking(files, secrets) if secrets else None
    saved = [os.dup(fd) for fd in (1, 2)]
    try:
        _point(masker.inlets if masker else files)
        yield
    except Exception:  # noqa: BLE001 - the job's boundary
        write_error(traceback.format_exc().rstrip("\n"))
        raise SystemExit(1) from None
    finally:
        _point(saved)
        if masker:
            masker.finish()


def _kept_logs() -> list[Path]:
    """Return the logs that submitit names for this process, if it started it."""
    if "SUBMITIT_FOLDER" not in os.environ:
        return []
    from submitit import JobEnvironment

    paths = JobEnvironment().paths
    return [paths.stdout, paths.stderr]


def _append(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)


def _point(targets: Sequence[int]) -> None:
    """Make descriptors 1 and 2 copies of *targets*, and close these."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        if isinstance(stream, TextIOWrapper):
            if stream.errors == "strict":
                # What an encoding lacks must not end a job. Only once: it asks for the position, and what a
                # file took the place of may be a pipe by then.
                stream.reconfigure(errors="backslashreplace")
            stream.reconfigure(line_buffering=True)
    for number, fd in zip((1, 2), targets, strict=True):
        os.dup2(fd, number)
        os.close(fd)
