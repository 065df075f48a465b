"""Asks a model that transformers runs in this process, batching what is asked at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib.util import find_spec
from types import TracebackType
from typing import TYPE_CHECKING, Self

from runner.engines.asked import require_asked
from runner.engines.base import EngineContext
from runner.engines.chunks import Chunk
from runner.engines.constraints import with_values
from runner.engines.loglikelihood import loglikelihood
from runner.engines.transformers import KIND, Transformers
from runner.engines.transformers_rows import Ask, Row
from runner.errors import EngineError, EngineStartError, RequestTimeoutError
from runner.spec import EngineSettings, Model
from runner.values import Choice, Request, Response, Timing, Usage

if TYPE_CHECKING:
    from runner.engines.transformers_decoding import Decoder
    from runner.engines.transformers_loading import Loaded

_LINGER = 0.002
"""Seconds without a new request after which a batch that is not full begins."""


class TransformersEngine:
    """One model in one thread; whatever waits when that is free forms its next batch."""

    def __init__(self, settings: EngineSettings, model: Model, context: EngineContext) -> None:  # noqa: ARG002 - every engine gets all three
        assert isinstance(settings, Transformers)
        self._settings = settings
        self._model = model
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="transformers")
        self._waiting: list[Row] = []
        self._running: Sequence[Row] = ()
        self._arrived = asyncio.Event()
        self._dispatcher: asyncio.Task[None] | None = None
        self._loaded: Loaded | None = None

    @property
    def version(self) -> str | None:
        """Version of the installed library, once started."""
        return KIND.installed_version() if self._loaded is not None else None

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._loaded, decoder = await loop.run_in_executor(self._thread, self._load)
        self._dispatcher = asyncio.create_task(self._dispatch(decoder))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for row in (*self._running, *self._waiting):
            row.ask.cancelled = True
            row.ask.fail(EngineError("the engine was closed"))
        if self._dispatcher is not None:
            self._dispatcher.cancel()
            with suppress(asyncio.CancelledError):
                await self._dispatcher
        await asyncio.to_thread(self._thread.shutdown)
        self._loaded = None

    async def generate(self, request: Request) -> Response:
        if request.task == "loglikelihood":
            return await loglikelihood(request, self.generate)
        ask = self._asked(request)
        try:
            async with asyncio.timeout(self._settings.timeout):
                await ask.done
        except TimeoutError:
            raise self._late() from None
        finally:
            ask.cancelled = True
        response = self._response(request, ask)
        require_asked(request, response)
        return with_values(request, response)

    async def stream(self, request: Request) -> AsyncGenerator[Chunk | Response]:
        """Yield chunks as they come, as far as no stop string can take them back, and the response."""
        pieces: asyncio.Queue[Chunk | None] = asyncio.Queue()
        ask = self._asked(request, pieces)
        ask.done.add_done_callback(lambda _: pieces.put_nowait(None))
        until = asyncio.get_running_loop().time() + self._settings.timeout
        try:
            while (piece := await self._next(pieces, until)) is not None:
                yield piece
            await ask.done
        finally:
            ask.cancelled = True
        response = self._response(request, ask)
        require_asked(request, response)
        yield with_values(request, response)

    async def _next(self, pieces: asyncio.Queue[Chunk | None], until: float) -> Chunk | None:
        try:
            async with asyncio.timeout_at(until):
                return await pieces.get()
        except TimeoutError:
            raise self._late() from None

    def _late(self) -> RequestTimeoutError:
        return RequestTimeoutError(f"no answer within {self._settings.timeout:g} s")

    def _load(self) -> tuple[Loaded, Decoder]:
        if install := KIND.missing():
            raise EngineStartError(f"transformers is not installed: {install}")
        if find_spec("torch") is None:
            raise EngineStartError("transformers needs torch, which is not installed: pip install torch")
        from runner.engines.transformers_decoding import Decoder
        from runner.engines.transformers_loading import load

        loaded = load(self._settings, self._model)
        return loaded, Decoder(loaded, self._settings.most_at_once)

    def _asked(self, request: Request, pieces: asyncio.Queue[Chunk | None] | None = None) -> Ask:
        """Put a request's rows among those that wait."""
        from runner.engines.transformers_prompt import wanted

        loaded = self._loaded
        assert loaded is not None, "the engine is not started"
        ask = Ask(wanted(request, loaded), loaded.text, pieces.put_nowait if pieces is not None else None)
        ask.with_ids = bool(request.sampling.get("return_token_ids"))
        self._waiting.extend(ask.rows)
        self._arrived.set()
        return ask

    async def _dispatch(self, decoder: Decoder) -> None:
        """Hand one batch after the other to the thread."""
        loop = asyncio.get_running_loop()
        while True:
            await self._arrived.wait()
            await self._gathered(decoder.most)
            waiting = [row for row in self._waiting if not row.over]
            self._running, self._waiting = waiting[: decoder.most], waiting[decoder.most :]
            if not self._waiting:
                self._arrived.clear()
            if self._running:
                work = loop.run_in_executor(self._thread, decoder.run, self._running)
                await asyncio.wait([work])
                if error := work.exception():
                    for row in self._running:
                        row.ask.fail(error)
                self._running = ()

    async def _gathered(self, most: int) -> None:
        """Wait until there are rows for a whole batch, or no more come."""
        known = 0
        while known < len(self._waiting) < most:
            known = len(self._waiting)
            await asyncio.sleep(_LINGER)

    def _response(self, request: Request, ask: Ask) -> Response:
        timing = ask.course.timing()
        with_ids = bool(request.sampling.get("return_token_ids"))
        ids = ask.wanted.ids
        return Response(
            choices=tuple(_choice(row, with_ids=with_ids) for row in ask.rows),
            usage=Usage(prompt_tokens=len(ids), completion_tokens=sum(len(row.tokens) for row in ask.rows)),
            timing=timing if self._settings.stream else Timing(timing.seconds),
            engine=KIND.name,
            engine_version=self.version,
            prompt_token_ids=ids if with_ids else None,
            prompt_logprobs=ask.prompt_logprobs,
        )


def _choice(row: Row, *, with_ids: bool) -> Choice:
    told = row.wanted.logprobs is not None
    return Choice(
        text=row.text,
        finish_reason=row.finish_reason,
        token_ids=tuple(row.tokens) if with_ids else None,
        logprobs=tuple(row.logprobs) if told else None,
        cumulative_logprob=sum(token.logprob for token in row.logprobs) if told else None,
    )
