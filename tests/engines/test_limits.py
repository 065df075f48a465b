"""The number of requests sent at once follows what the server says."""

from __future__ import annotations

import asyncio

from runner.engines.limits import Limiter


def test_permits_are_given_up_to_the_cap() -> None:
    """One more than the cap has to wait."""
    limiter = Limiter(2)

    assert [limiter.take(), limiter.take(), limiter.take()] == [True, True, False]
    assert limiter.in_flight == 2


def test_waiters_get_permits_in_the_order_of_asking() -> None:
    """A permit that is given back goes to who waits longest."""

    async def run() -> list[str]:
        limiter = Limiter(1)
        order = []

        async def work(name: str) -> None:
            async with limiter:
                order.append(name)

        assert limiter.take()
        tasks = [asyncio.create_task(work(name)) for name in "abc"]
        await asyncio.sleep(0)
        assert order == []
        limiter.release()
        await asyncio.gather(*tasks)
        assert limiter.in_flight == 0
        return order

    assert asyncio.run(run()) == ["a", "b", "c"]


def test_permit_of_a_cancelled_waiter_is_not_lost() -> None:
    """Cancelled while waiting, or in the very moment of getting the permit: the next one has it."""

    async def run() -> int:
        limiter = Limiter(1)
        assert limiter.take()
        waiting = [asyncio.create_task(limiter.wait()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        limiter.release()  # gives the permit to waiting[1], which has not run yet
        waiting[1].cancel()
        await asyncio.wait_for(waiting[2], 5)
        await asyncio.gather(*waiting, return_exceptions=True)
        return limiter.in_flight

    assert asyncio.run(run()) == 1


def test_only_the_first_429_of_a_round_halves_the_limit() -> None:
    """What was sent before the limit fell says nothing about the lower one."""
    limiter = Limiter(64)
    sent_in = limiter.round

    for _ in range(64):
        limiter.throttled(sent_in)

    assert limiter.limit == 32
    limiter.throttled(limiter.round)
    assert limiter.limit == 16


def test_limit_never_falls_below_one() -> None:
    """There is always one to find out whether the server has recovered."""
    limiter = Limiter(4)

    for _ in range(10):
        limiter.throttled(limiter.round)

    assert limiter.limit == 1


def test_answers_raise_the_limit_step_by_step_to_the_cap() -> None:
    """A round of answers is one step; the cap is the end."""
    limiter = Limiter(64)
    limiter.throttled(limiter.round)

    for _ in range(32):
        limiter.answered()

    assert limiter.limit == 36
    for _ in range(1000):
        limiter.answered()
    assert limiter.limit == 64


def test_retry_after_pauses_all_sending_until_then() -> None:
    """Nobody gets a permit during the pause; everybody who waited does after it."""

    async def run() -> float:
        limiter = Limiter(8)
        loop = asyncio.get_running_loop()
        start = loop.time()
        limiter.throttled(limiter.round, 0.1)
        limiter.throttled(limiter.round - 1, 0.05)  # a shorter one doesn't end it
        assert not limiter.take()
        await asyncio.gather(*(limiter.wait() for _ in range(4)))
        assert limiter.in_flight == 4
        return loop.time() - start

    assert asyncio.run(run()) >= 0.1


def test_lower_limit_holds_back_until_enough_permits_are_returned() -> None:
    """Permits given before the limit fell stay valid; new ones wait for the lower limit."""
    limiter = Limiter(4)
    for _ in range(4):
        limiter.take()
    limiter.throttled(limiter.round)

    limiter.release()
    limiter.release()
    assert not limiter.take()
    limiter.release()
    assert limiter.take()
