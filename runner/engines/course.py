"""How far an answer that comes in pieces has come, and when the model spoke in them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from runner.engines.in_band import implied_error
from runner.engines.lenient import loose_json
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
    """

    address: str
    asked: int
    notes: Notes = SILENT
    done: bool = False
    ended: dict[int, bool] = field(default_factory=dict)
    _unknown: list[bytes] = field(default_factory=list)
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
                loose_json(event)
            except (*UNREADABLE, ValueError) as error:
                raise malformed(error, event) from None
        if len(self._unknown) < _MOST_UNKNOWN:
            self._unknown.append(event)

    @property
    def skipped(self) -> bool:
        """Whether an event was no part of the answer."""
        return bool(self._unknown)

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
            raise malformed("it has no choices", b"\n".join(self._unknown))
        raise ServerError("the server ended the stream without a finish reason")

    def _told(self) -> AskError | None:
        """Return the error that an event which is no part of the answer tells of."""
        for event in self._unknown:
            try:
                error = implied_error(loose_json(event))
            except (*UNREADABLE, ValueError):
                error = malformed("an event is not JSON", event)
            if error is not None:
                return error
        return None

    def _note_skipped(self) -> None:
        if self._unknown:
            event = self._unknown[0].decode("utf-8", "replace")
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


_MOST_UNKNOWN = 100
_SHOWN = 200
