"""The file that a run was started from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

from runner.runs import RunFolder, lost, read_file


class _Provenance(msgspec.Struct, frozen=True):
    """The part that is read back."""

    sources: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]


def source_of(run: RunFolder) -> Path:
    """Return the experiment's file, which may be gone by now.

    Raises:
        UserError: the run doesn't tell.
    """
    path = run.path / "provenance.json"
    try:
        return Path(read_file(path, _Provenance).sources[0])
    except FileNotFoundError:
        raise lost(path) from None
