"""The text of an answer as its tokens come."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

Decode: TypeAlias = Callable[[Sequence[int]], str]
"""Token ids to text, special tokens left out."""

_BEFORE = 5
"""Tokens of the prompt that are decoded with the answer, as a word's first token may lose its space alone."""
_BROKEN = "\ufffd"


class Text:
    """Text of one answer, up to the first stop string that it completes.

    A character that several tokens make appears with the last of them, so that an answer cut in the
    midst of one ends before it.

    Attributes:
        whole: the text so far, without what is cut off by a stop string.
        stopped: a stop string has been completed; nothing can be added any more.
    """

    def __init__(self, decode: Decode, prompt: Sequence[int], stops: Sequence[str]) -> None:
        self._decode = decode
        self._ids = list(prompt[-_BEFORE:])
        self._read = len(self._ids)
        self._known = decode(self._ids)
        self._stops = stops
        self.whole = ""
        self.stopped = False

    def add(self, token: int, *, may_stop: bool = True) -> None:
        """Add a token's text; a stop string that it completes is heeded if it *may_stop*."""
        self._ids.append(token)
        text = self._decode(self._ids)
        if len(text) <= len(self._known) or text.endswith(_BROKEN):
            return
        added = text[len(self._known) :]
        self._ids = self._ids[self._read :]
        self._read = len(self._ids)
        self._known = self._decode(self._ids)
        before = len(self.whole)
        self.whole += added
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
