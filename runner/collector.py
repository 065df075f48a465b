"""The garbage collector, where millions of rows pass."""

from __future__ import annotations

import gc


def spare_the_collector() -> None:
    """Have the collector look at what is new, and rarely: rows leave no cycles behind."""
    gc.freeze()
    collect_rarely()


def collect_rarely() -> None:
    """Have the collector look rarely: imports alone would have it look for 25 ms."""
    gc.set_threshold(50_000, 20, 100)
