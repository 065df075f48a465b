"""What every scorer kind lets you set."""

from __future__ import annotations

from pydantic import Field

from runner.spec.base import Spec


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
