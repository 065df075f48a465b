"""The garbage collector, where millions of rows pass."""

from __future__ import annotations

import gc


def spare_the_collector() -> None:
    """Have the collector look at what is new, and rarely: rows leave no cycles behind."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
