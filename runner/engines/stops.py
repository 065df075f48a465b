"""Stop strings: they end an answer, and are never part of it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from runner.values import Choice, Request, Response

_KEPT = ("include_stop_str_in_output", "no_stop_trim", "echo")
"""What leaves a stop string in the answer: vLLM and SGLang are told to, and a repeated prompt may hold it."""


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


def stops_of(request: Request) -> Sequence[str]:
    """Return the stop strings that no answer may hold; none where the request allows them in it."""
    sampling = request.sampling
    passed = sampling.get("passthrough") or {}
    if sampling.get("min_tokens") or any(passed.get(name) for name in _KEPT):
        return ()
    stop = sampling.get("stop") or ()
    return (stop,) if isinstance(stop, str) else tuple(stop)


def without_stops(request: Request, response: Response) -> Response:
    """Cut off the stop string that ended an answer, which some servers leave there."""
    stops = stops_of(request)
    if not any(stop in choice.text for choice in response.choices for stop in stops):
        return response
    return msgspec.structs.replace(
        response, choices=tuple(_cut(choice, stops) for choice in response.choices)
    )


def _cut(choice: Choice, stops: Sequence[str]) -> Choice:
    text = StoppedText(stops)
    text.add(choice.text)
    return msgspec.structs.replace(choice, text=text.whole)
