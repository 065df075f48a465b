"""What every scorer kind lets you set."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import Field

from runner.spec.base import Spec

FailedRows: TypeAlias = Literal["exclude", "wrong"]
"""What a failed row counts as in scores."""


class ScorerSettings(Spec):
    """Base of each kind's own settings; `kind` tells them apart."""

    kind: str
    """Name of the scorer."""
    target: str | None = None
    """Template of the expected answer; left out means the dataset's target."""
    of: str | None = None
    """Slot whose answer is scored; left out means the last one."""
    report: tuple[str, ...] = Field(("mean",), min_length=1)
    """What to report over samples: mean, pass@k, majority@k."""
    failed_rows: FailedRows | None = None
    """What a failed row counts as in this score; left out means the experiment's failed_rows."""
