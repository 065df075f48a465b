"""How far an answer that comes in pieces has come, and when the model spoke in them."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import msgspec

from runner.engines.in_band import implied_error
from runner.engines.notes import SILENT, Notes
from runner.engines.provider_errors import UNREADABLE
from runner.engines.provider_wire import malformed
from runner.errors import AskError, ConnectionFailedError, ServerError
from runner.values import Timing


@dataclass(slots=True)
class Course:
    """How far a streamed answer has come; made when it is asked for.

    Attributes:
        address: where it comes from.
        asked: how many choices it is to have.
        notes: where skipped events are noted.
        done: whether the server has said that it is over.
        ended: for each choice that has begun, whether it has said why it ended.
        skipped: whether an event was no part of the answer.
    """

    address: str
    asked: int
    notes: Notes = SILENT
    done: bool = False
    ended: dict[int, bool] = field(default_factory=dict)
    skipped: bool = False
    _others: deque[bytes] = field(default_factory=lambda: deque(maxlen=_MOST_OTHERS))
    _first: bytes = b""
    _start: float = field(default_factory=time.perf_counter)
    _spoken: list[float] = field(default_factory=list)

    def note(self, index: int, reason: Any) -> None:
        """Take note of a piece of a choice."""
        self.ended[index] = bool(reason) or self.ended.get(index, False)

    def skip(self, event: bytes) -> None:
        """Take note of an event that is no part of the answer: it may tell why there is none.

        Raises:
            MalformedResponseError: it is an object that can't be decoded, which may be a part after all.
        """
        if event.startswith(b"{"):
            try:
                msgspec.json.decode(event)
            except UNREADABLE as error:
                raise malformed(error, event) from None
        if not self.skipped:
            self._first, self.skipped = event, True
        self.keep(event)

    def keep(self, event: bytes) -> None:
        """Keep an event without a piece of a choice: it may tell why the answer ends early."""
        self._others.append(event)

    def spoke(self) -> None:
        """Take note that the model spoke, in an event that has just come."""
        self._spoken.append(time.perf_counter())

    def require_end(self) -> None:
        """Make sure that the answer came whole: each choice that began says why it ended.

        Raises:
            ConnectionFailedError: it was cut off.
            ServerError: the server said that it was over before it was, or another error of its own.
            MalformedResponseError: it has no choices.
        """
        whole = bool(self.ended) and all(self.ended.values())
        if whole and (self.done or len(self.ended) >= self.asked):
            self._note_skipped()
            return
        if not whole and (error := self._told()):
            raise error
        if not self.done:
            raise ConnectionFailedError(f"{self.address}: the stream ended before the answer did")
        if not self.ended:
            raise malformed("it has no choices", b"\n".join(self._others))
        raise ServerError("the server ended the stream without a finish reason")

    def _told(self) -> AskError | None:
        """Return the error that an event without a piece of a choice tells of."""
        for event in self._others:
            try:
                error = implied_error(msgspec.json.decode(event))
            except UNREADABLE:
                error = malformed("an event is not JSON", event)
            if error is not None:
                return error
        return None

    def _note_skipped(self) -> None:
        if self.skipped:
            event = self._first.decode("utf-8", "replace")
            message = f"streams hold events that are no part of the answer, such as {event[:_SHOWN]}; skipped"
            self.notes.once("event", message)

    def timing(self) -> Timing:
        """Return the times up to now, of pieces where there were any."""
        seconds, spoken = time.perf_counter() - self._start, self._spoken
        if not spoken:
            return Timing(seconds)
        gaps = len(spoken) - 1
        return Timing(
            seconds,
            first_token=spoken[0] - self._start,
            inter_token=(spoken[-1] - spoken[0]) / gaps if gaps else None,
        )


_MOST_OTHERS = 100
"""Events that are kept, the last ones: an error comes at the end."""
_SHOWN = 200
