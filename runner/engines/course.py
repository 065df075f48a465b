"""How far an answer that comes in pieces has come, and when the model spoke in them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from runner.engines.provider_wire import malformed
from runner.errors import ConnectionFailedError
from runner.values import Timing


@dataclass(slots=True)
class Course:
    """How far a streamed answer has come; made when it is asked for.

    Attributes:
        address: where it comes from.
        asked: how many choices it is to have.
        done: whether the server has said that it is over.
        ended: for each choice that has begun, whether it has said why it ended.
    """

    address: str
    asked: int
    done: bool = False
    ended: dict[int, bool] = field(default_factory=dict)
    _start: float = field(default_factory=time.perf_counter)
    _spoken: list[float] = field(default_factory=list)

    def note(self, index: int, reason: Any) -> None:
        """Take note of a piece of a choice."""
        self.ended[index] = bool(reason) or self.ended.get(index, False)

    def spoke(self) -> None:
        """Take note that the model spoke, in an event that has just come."""
        self._spoken.append(time.perf_counter())

    def require_end(self) -> None:
        """Make sure that the answer came whole.

        Raises:
            ConnectionFailedError: it was cut off.
            MalformedResponseError: it has no choices.
        """
        whole = len(self.ended) >= self.asked and all(self.ended.values())
        if not self.done and not whole:
            raise ConnectionFailedError(f"{self.address}: the stream ended before the answer did")
        if not self.ended:
            raise malformed("it has no choices")

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
