"""The logs that submitit and Slurm write by themselves: what a setup line, srun or a failed start prints.

No filter of ours stands before these files. Secret values in them are masked by the worker when it
starts, which is after the setup lines; by whoever shows them; and by whoever looks at the run, since a
setup line may have failed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from runner.launch.submission import submitit_folder
from runner.masking.forms import Masker
from runner.secrets import Secrets

_TAIL_BYTES = 8192


def last_line(path: Path, secrets: Secrets) -> str:
    """Return the last line of srun's that is an error, else the last line; *secrets* are masked."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
    said = [line.strip() for line in reversed(text.split("\n")) if line.strip()]
    line = next((line for line in said if line.startswith("srun: error:")), said[0] if said else "")
    return secrets.mask(line)[:300]


def mask_kept(run_dir: Path, secrets: Secrets) -> None:
    """Overwrite *secrets* in all these logs of a run, where they may be written."""
    if secrets:
        mask_files(submitit_folder(run_dir).glob("*_log.*"), secrets.plain)


def mask_files(paths: Iterable[Path], secrets: Sequence[str]) -> None:
    """Overwrite secret values in files by as many asterisks; others may append to them meanwhile.

    Files that aren't there or may only be read are passed over.
    """
    masker = Masker(secrets)
    for path in paths:
        if not os.access(path, os.R_OK | os.W_OK):
            continue
        with path.open("r+b") as file:
            for start, end in masker.spans(file.read()):
                os.pwrite(file.fileno(), b"*" * (end - start), start)
