"""The text of an answer as its tokens come."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from runner.engines.stops import StoppedText

Decode: TypeAlias = Callable[[Sequence[int]], str]
"""Token ids to text, special tokens left out."""

_BEFORE = 5
"""Tokens of the prompt that are decoded with the answer, as a word's first token may lose its space alone."""
_BROKEN = "\ufffd"


class Text(StoppedText):
    """Text of one answer, up to the first stop string that it completes.

    A character that several tokens make appears with the last of them, so that an answer cut in the
    midst of one ends before it.
    """

    def __init__(self, decode: Decode, prompt: Sequence[int], stops: Sequence[str]) -> None:
        super().__init__(stops)
        self._decode = decode
        self._ids = list(prompt[-_BEFORE:])
        self._read = len(self._ids)
        self._known = decode(self._ids)

    def add_token(self, token: int, *, may_stop: bool = True) -> None:
        """Add a token's text; a stop string that it completes is heeded if it *may_stop*."""
        self._ids.append(token)
        text = self._decode(self._ids)
        if len(text) <= len(self._known) or text.endswith(_BROKEN):
            return
        added = text[len(self._known) :]
        self._ids = self._ids[self._read :]
        self._read = len(self._ids)
        self._known = self._decode(self._ids)
        self.add(added, may_stop=may_stop)
