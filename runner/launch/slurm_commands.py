"""Runs Slurm's own commands."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from runner.errors import RunnerError, one_line

_SECONDS = 30
"""How long one of Slurm's commands may take."""


class SlurmSilentError(RunnerError):
    """Raised when one of Slurm's commands gave no answer."""


def run_slurm(command: Sequence[str]) -> str:
    """Run one of Slurm's commands and return what it printed.

    Raises:
        SlurmSilentError: it is not there, took too long, or failed.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SECONDS)
    except FileNotFoundError as error:
        raise SlurmSilentError(f"there is no {command[0]} on PATH") from error
    except subprocess.TimeoutExpired as error:
        raise SlurmSilentError(f"{command[0]} took more than {_SECONDS} s") from error
    if done.returncode:
        raise SlurmSilentError(one_line(done.stderr) or f"{command[0]} failed")
    return done.stdout
