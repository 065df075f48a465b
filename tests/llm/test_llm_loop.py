"""The loop that engines live on, in a thread of its own."""

from __future__ import annotations

import asyncio
import gc
import threading

import pytest

from runner.errors import EngineError
from runner.llm.process import here

SECONDS = 20


def test_error_of_what_nobody_waits_for_is_not_printed(caplog: pytest.LogCaptureFixture) -> None:
    """A call that is cancelled as its LLM is closed ends with an error; whoever made it has gone."""
    thread = here.thread
    begun, over = threading.Event(), threading.Event()

    async def ends_in_its_own_way() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise EngineError("the LLM was closed before it answered") from None
        finally:
            over.set()

    future = thread.submit(ends_in_its_own_way())
    assert begun.wait(SECONDS)
    future.cancel()
    assert over.wait(SECONDS)
    thread.submit(asyncio.sleep(0)).result(SECONDS)
    del future
    gc.collect()

    assert caplog.records == []
