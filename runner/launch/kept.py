"""The logs that submitit and Slurm write by themselves: what a setup line, srun or a failed start prints.

No filter of ours stands before these files. Secret values in them are masked by the worker when it
starts, which is after the setup lines, and by whoever shows them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from runner.secrets import Secrets

_TAIL_BYTES = 8192


class _Job(msgspec.Struct):
    """What of a job.json is needed here."""

    secret_env: tuple[str, ...] = ()


def secrets_of(job_dirs: Iterable[Path]) -> Secrets:
    """Return the secrets that jobs name, and every other that this process's environment does."""
    return Secrets.of_environment({name for folder in job_dirs for name in _named(folder)})


def _named(job_dir: Path) -> tuple[str, ...]:
    try:
        return msgspec.json.decode((job_dir / "job.json").read_bytes(), type=_Job).secret_env
    except (FileNotFoundError, msgspec.DecodeError):
        return ()


def last_line(path: Path, job_dir: Path) -> str:
    """Return the last line of srun's that is an error, else the last line; secrets are masked."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
    said = [line.strip() for line in reversed(text.split("\n")) if line.strip()]
    line = next((line for line in said if line.startswith("srun: error:")), said[0] if said else "")
    return secrets_of([job_dir]).mask(line)[:300]


def mask_files(paths: Iterable[Path], spellings: Sequence[str]) -> None:
    """Overwrite secret values in files by as many asterisks; others may append to them meanwhile."""
    for path in paths:
        with suppress(FileNotFoundError), path.open("r+b") as file:
            data = file.read()
            for value in sorted((spelling.encode() for spelling in spellings), key=len, reverse=True):
                at = data.find(value)
                while at >= 0:
                    os.pwrite(file.fileno(), b"*" * len(value), at)
                    at = data.find(value, at + len(value))
