"""Keeps equal requests of one job from being sent twice."""

from __future__ import annotations

import asyncio


class Claims:
    """Lets one question with a given key at a time be asked; others with that key wait for it.

    A question is claimed only while a worker is at it, never in a queue: whoever waits for a claim
    waits for something that moves.
    """

    def __init__(self) -> None:
        self._held: dict[bytes, asyncio.Future[None] | None] = {}
        """What others wait for by key; nothing is made where nobody waits, as with nearly all."""

    def take(self, key: bytes) -> bool:
        """Hold a key if nobody else does; never waits."""
        if key in self._held:
            return False
        self._held[key] = None
        return True

    async def wait(self, key: bytes) -> None:
        """Hold a key once nobody else does."""
        held = self._held
        while key in held:
            if (let_go := held[key]) is None:
                let_go = held[key] = asyncio.get_running_loop().create_future()
            await asyncio.wait([let_go])
        held[key] = None

    def release(self, key: bytes) -> None:
        """Let a key go: its answer is on disk, or there will be none."""
        if (let_go := self._held.pop(key)) is not None:
            let_go.set_result(None)


class Recent:
    """Keys answered lately: what was looked up before may be stored by now.

    Two generations are kept, a generation being the time between two lookups of a batch. A question that
    waited longer, as it can while batches pass that hold nothing to ask, counts as answered: looking it
    up once more is cheap, and asking it once more is not.
    """

    def __init__(self) -> None:
        self._generation = 0
        self._new: set[bytes] = set()
        self._old: set[bytes] = set()

    def add(self, key: bytes) -> None:
        """Note an answer that is on disk."""
        self._new.add(key)

    def begin(self) -> int:
        """Begin a new generation, as a batch is about to be looked up; return its number."""
        self._old, self._new = self._new, set()
        self._generation += 1
        return self._generation

    def may_hold(self, key: bytes, since: int) -> bool:
        """Tell whether *key*, looked up in the generation *since*, may have been answered after that."""
        return since < self._generation - 1 or key in self._new or key in self._old
