"""What a worker's log says of results that failed: each kind once, and how many there were."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

import msgspec

from runner.errors import one_line, unvaried
from runner.export import Failure
from runner.records import ERROR, Result
from runner.results import ResultLine

_MOST_KINDS = 20
"""Kinds beyond this number are only counted: a message may hold what no other does."""

_decode = msgspec.json.Decoder(ResultLine).decode


class FailureLog:
    """Tells of failures as they come."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._told: set[tuple[str, str]] = set()
        self._counts: Counter[tuple[str, str]] = Counter()

    def note(self, point: int, result: Result) -> None:
        """Count a result without an answer; tell of it if it is the first of its kind."""
        error = _decode(result.line).error
        assert error is not None
        self._counts[error.kind, "final" if result.state == ERROR else "missing"] += 1
        name, fault = Failure(error.kind, 1, result.id, error.message, error.status).fault
        kind = (name, fault or unvaried(error.message))
        if kind in self._told or len(self._told) >= _MOST_KINDS:
            return
        self._told.add(kind)
        status = f"HTTP {error.status}: " if error.status else ""
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self._tell(f"{now} point {point}, row {result.id}: {error.kind}: {one_line(status + error.message)}")

    def sum_up(self) -> None:
        """Tell how many there were, if any."""
        if self._counts:
            kinds = (f"{number:,} {kind} ({how})" for (kind, how), number in self._counts.most_common())
            self._tell(f"results without an answer: {', '.join(kinds)}; results.jsonl says why for each")
