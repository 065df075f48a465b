"""Checks and scores answers that are on disk: apart from the event loop, which goes on meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from runner.engines.asked import require_asked
from runner.engines.constraints import checked_apart, require_obeyed
from runner.isolated import PROCESSES
from runner.questions import Question
from runner.records import Record
from runner.values import Request, Response

_T = TypeVar("_T")


class Judging:
    """The threads that wait for what may take long."""

    def __init__(self) -> None:
        # One for each process: they hold no interpreter lock while they wait.
        self._threads = ThreadPoolExecutor(PROCESSES, thread_name_prefix="judging")

    async def check(self, request: Request, response: Response) -> None:
        """Make sure that a response has all that was asked.

        Raises:
            RowError: as `require_asked` and `require_obeyed` do.
        """
        require_asked(request, response)
        if checked_apart(request):
            await self._apart(require_obeyed, request, response)
        else:
            require_obeyed(request, response)

    async def record(self, question: Question) -> Record:
        """Return what is new of a question, with its result."""
        return question.record() if question.point.bounded else await self._apart(question.record)

    def close(self) -> None:
        """Begin nothing more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _apart(self, function: Callable[..., _T], *args: object) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *args)
