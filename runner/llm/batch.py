"""Asks for many inputs at once, in order, with no more in flight than the engine takes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from functools import partial
from typing import Any

from runner.errors import AskError, EngineError, RowError
from runner.llm.progress import Show, Tally
from runner.llm.requests import Answer
from runner.values import Response


class Batch:
    """One batch; its inputs are taken in the thread that runs it, as there is room for them."""

    def __init__(self, ask: Callable[[Any], Future[Answer]], room: int, tally: Tally, show: Show) -> None:
        """Prepare to ask.

        Args:
            ask: sends one input; raises `RowError` for one that can't be sent.
            room: most inputs in flight.
            tally: counts what is done.
            show: shows the tally.
        """
        self._ask = ask
        self._room = room
        self._free = threading.Semaphore(room)
        self._tally = tally
        self._show = show
        self._results: list[Response | AskError | None] = []
        self._pending: dict[int, Future[Answer]] = {}
        self._fatal: EngineError | None = None
        self._bug: BaseException | None = None
        self._stopped = False
        self._counting = threading.Lock()

    def run(self, inputs: Iterable[Any], *, keep_errors: bool) -> list[Response | AskError]:
        """Return a response for each input; with *keep_errors*, the error of one that has none.

        What stops the engine stops the batch: it is the result of every input not asked by then.

        Raises:
            AskError: the first, once the others are answered, unless errors are kept.
            UserError: the cache can't be used, or an input is one that the engine doesn't take.
        """
        with self._show:
            try:
                self._send_all(inputs, keep_errors=keep_errors)
                for _ in range(self._room):
                    self._take()
            finally:
                for future in list(self._pending.values()):
                    future.cancel()
        results = [one for one in self._results if one is not None]
        first = self._fatal or next((one for one in results if isinstance(one, AskError)), None)
        if first is not None and not keep_errors:
            raise first
        return results

    def stop(self) -> None:
        """Have `run` end soon, from another thread."""
        self._stopped = True
        self._free.release()

    def _send_all(self, inputs: Iterable[Any], *, keep_errors: bool) -> None:
        for index, given in enumerate(inputs):
            if self._fatal is not None and not keep_errors:
                return
            self._results.append(None)
            self._send(index, given)

    def _send(self, index: int, given: Any) -> None:
        self._take()
        if self._fatal is not None:
            self._settle(index, self._fatal)
            return
        try:
            future = self._ask(given)
        except RowError as error:
            self._settle(index, error)
            return
        self._pending[index] = future
        future.add_done_callback(partial(self._done, index))

    def _take(self) -> None:
        """Wait for room; the last word of whoever made it may be that nothing more is to be asked."""
        self._free.acquire()
        if self._bug is not None:
            raise self._bug
        if self._stopped:
            raise EngineError("the batch was stopped")

    def _done(self, index: int, future: Future[Answer]) -> None:
        """Take an answer; called where the loop runs."""
        self._pending.pop(index, None)
        if future.cancelled():
            return
        error = future.exception()
        if error is None:
            answer = future.result()
            self._tally.cached += answer.cached
            self._settle(index, answer.response)
        elif isinstance(error, AskError):
            if isinstance(error, EngineError):
                self._fatal = self._fatal or error
            self._settle(index, error)
        else:
            self._bug = error
            self._free.release()

    def _settle(self, index: int, result: Response | AskError) -> None:
        self._results[index] = result
        with self._counting:
            self._tally.done += 1
            self._tally.failed += isinstance(result, AskError)
            self._show.update()
        self._free.release()
