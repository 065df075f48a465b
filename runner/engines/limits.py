"""How many requests are sent at once: follows what the server says with its 429s."""

from __future__ import annotations

import asyncio
from collections import deque

_ROUNDS_TO_RECOVER = 16
"""Rounds of answers in which the limit climbs from nothing back to its cap."""


class Limiter:
    """Permits to send, at most `limit` of them at once, and none during a pause.

    A 429 halves the limit and, where the server says how long, pauses all sending until then;
    answers let the limit climb back to the cap by equal steps. To be used within one event loop.

    A permit covers one sending. What a row holds until its record is written is another thing:
    bound that by `cap`, never by permits of the same limiter.

    Attributes:
        cap: most permits there ever are.
        limit: most permits at the moment.
        in_flight: permits taken.
        round: counts the halvings; remember it when sending, for `throttled`.
    """

    __slots__ = (
        "_answers",
        "_open",
        "_pause",
        "_step",
        "_until",
        "_waiters",
        "cap",
        "in_flight",
        "limit",
        "round",
    )

    def __init__(self, cap: int) -> None:
        self.cap = cap
        self.limit = cap
        self.in_flight = 0
        self.round = 0
        self._open = cap
        """The limit, or 0 during a pause."""
        self._step = max(1, cap // _ROUNDS_TO_RECOVER)
        self._answers = 0
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._until = 0.0
        self._pause: asyncio.TimerHandle | None = None

    def take(self) -> bool:
        """Take a permit if one is free; never waits."""
        if self.in_flight < self._open:
            self.in_flight += 1
            return True
        return False

    async def wait(self) -> None:
        """Take a permit when one is free, in the order of asking."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            # Given in the moment of being cancelled: somebody else may have it.
            if waiter.done() and not waiter.cancelled():
                self.release()
            raise

    def release(self) -> None:
        """Give a permit back."""
        self.in_flight -= 1
        if self._waiters:
            self._admit()

    async def __aenter__(self) -> None:
        if not self.take():
            await self.wait()

    async def __aexit__(self, *error: object) -> None:
        self.release()

    def answered(self) -> None:
        """Note an answer: a whole round of them raises the limit by one step."""
        if self.limit == self.cap:
            return
        self._answers += 1
        if self._answers >= self.limit:
            self._answers = 0
            self._set(min(self.cap, self.limit + self._step))

    def throttled(self, sent_in: int, retry_after: float | None = None) -> None:
        """Note a 429.

        Args:
            sent_in: `round` when the request was sent; only the first 429 of a round halves the
                limit, as the others say nothing new.
            retry_after: seconds that the server asks for.
        """
        if sent_in == self.round:
            self.round += 1
            self._answers = 0
            self._set(max(1, self.limit // 2))
        if retry_after:
            self._hold(retry_after)

    def _hold(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        if until <= self._until:
            return
        if self._pause is not None:
            self._pause.cancel()
        self._until = until
        self._pause = loop.call_at(until, self._resume)
        self._open = 0

    def _resume(self) -> None:
        self._pause = None
        self._set(self.limit)

    def _set(self, limit: int) -> None:
        self.limit = limit
        if self._pause is None:
            self._open = limit
            self._admit()

    def _admit(self) -> None:
        while self._waiters and self.in_flight < self._open:
            waiter = self._waiters.popleft()
            if not waiter.done():
                self.in_flight += 1
                waiter.set_result(None)
