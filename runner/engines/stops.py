"""Stop strings: they end an answer, and are never part of it."""

from __future__ import annotations

from collections.abc import Sequence


class StoppedText:
    """A text that comes in pieces, up to the first stop string that it completes.

    Attributes:
        whole: the text so far, without what is cut off by a stop string.
        stopped: a stop string has been completed; nothing can be added any more.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = stops
        self.whole = ""
        self.stopped = False

    def add(self, piece: str, *, may_stop: bool = True) -> None:
        """Add a piece; a stop string that it completes is heeded if it *may_stop*."""
        before = len(self.whole)
        self.whole += piece
        if may_stop and self._stops:
            self._cut(before)

    def _cut(self, before: int) -> None:
        """End at the stop string that is complete first, of those that end after *before* characters."""
        found = []
        for place, stop in enumerate(self._stops):
            start = self.whole.find(stop, max(0, before - len(stop) + 1))
            if start >= 0:
                found.append((start + len(stop), place, start))
        if found:
            self.whole = self.whole[: min(found)[-1]]
            self.stopped = True

    @property
    def settled(self) -> int:
        """Characters that no stop string can take back: what follows may be the beginning of one."""
        if self.stopped:
            return len(self.whole)
        longest = max(map(len, self._stops), default=1) - 1
        for start in range(max(0, len(self.whole) - longest), len(self.whole)):
            if any(stop.startswith(self.whole[start:]) for stop in self._stops):
                return start
        return len(self.whole)
