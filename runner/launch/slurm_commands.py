"""Runs Slurm's own commands."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from runner.errors import RunnerError, one_line

_SECONDS = 30.0
"""How long one of Slurm's commands may take: a busy controller answers late."""

_UNRESOLVED = re.compile(r"getaddrinfo\(\) failed: ([^:\n]+)")


class SlurmSilentError(RunnerError):
    """Raised when one of Slurm's commands gave no answer."""


class SlurmLateError(SlurmSilentError):
    """Raised when one of Slurm's commands has given no answer yet."""


def run_slurm(command: Sequence[str], seconds: float = _SECONDS) -> str:
    """Run one of Slurm's commands and return what it printed.

    Raises:
        SlurmLateError: it took more than *seconds*.
        SlurmSilentError: it is not there, has no configuration, or failed.
    """
    conf = os.environ.get("SLURM_CONF")
    if conf and not Path(conf).exists():  # Slurm's commands would look for it again and again for a minute
        raise SlurmSilentError(f"SLURM_CONF names {conf}, which is not there")
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds)
    except FileNotFoundError as error:
        raise SlurmSilentError(f"there is no {command[0]} on PATH") from error
    except subprocess.TimeoutExpired as error:
        raise SlurmLateError(f"{command[0]} took more than {seconds:g} s") from error
    if done.returncode:
        raise SlurmSilentError(one_line(done.stderr) or f"{command[0]} failed")
    return done.stdout


def unreachable(seconds: float) -> str:
    """Say that none of Slurm's controllers can be reached; nothing where one may be.

    A controller that can't be connected to is found DOWN at once, or within the two seconds that Slurm gives
    a connection. One that is slow to answer keeps a ping waiting for longer than *seconds*, and may be alive;
    but a name that can't be resolved, of the first controller too, keeps it waiting for ten, in vain.
    """
    try:
        done = subprocess.run(
            ["scontrol", "ping"], capture_output=True, text=True, check=False, timeout=seconds
        )
    except FileNotFoundError:
        return ""
    except subprocess.TimeoutExpired as error:
        unresolved = _UNRESOLVED.search(os.fsdecode(error.stderr or b""))
        return f"the controller's name can't be resolved: {unresolved[1]}" if unresolved else ""
    states = re.findall(r"^(.* is (UP|DOWN))\s*$", done.stdout, re.MULTILINE)
    return ", ".join(said for said, _ in states) if all(state == "DOWN" for _, state in states) else ""
