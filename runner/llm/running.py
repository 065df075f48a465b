"""An LLM at work in one process: its engine, once something has to be asked, and the cache in front of it."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from runner.claims import Claims
from runner.engines.chunks import Chunk, whole_chunks
from runner.engines.constraints import checked_apart, require_obeyed
from runner.engines.retrying import Retrying
from runner.engines.sending import Sending
from runner.errors import AskError, EngineError, IncompleteResponseError, InputError
from runner.identity import request_scope
from runner.llm.declared import Call, Declared
from runner.llm.process import here
from runner.llm.requests import Answer, Ask, Asked
from runner.llm.shelf import Shelf
from runner.llm.starting import Started, check_start, log_folder, started, wants_log
from runner.llm.wording import translate
from runner.plan import PlannedPoint
from runner.storable import stored_form
from runner.values import Request, Response, Row, Scope, decode_response, request_key

_NO_ROW = Row("", 0, {})


@dataclass(slots=True, eq=False, weakref_slot=True)
class Running:
    """All methods are to be called on the process's loop."""

    declared: Declared
    pid: int = field(default_factory=lambda: here.pid)
    trouble: str = ""
    """Why requests wait to be sent again, where some do."""
    _claims: Claims = field(default_factory=Claims)
    _shelf: Shelf | None = None
    _coming: asyncio.Task[Started] | None = None
    """The start of the engine: under way, or done; one that failed is forgotten."""
    _begun_for: str = ""
    """The task that it was started with."""
    _asleep: bool = False
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    _scope: Scope | None = None
    _fresh: set[bytes] = field(default_factory=set)
    """What was asked anew, where the cache is to be refreshed."""
    _identifying: asyncio.Lock = field(default_factory=asyncio.Lock)
    _sleeping: asyncio.Lock = field(default_factory=asyncio.Lock)
    _tasks: set[asyncio.Task[object]] = field(default_factory=set)
    _closed: bool = False
    _failed: bool = False
    """The engine could not go on."""

    async def generate(self, ask: Ask, hear: Callable[[Chunk], None] | None = None) -> Answer:
        """Answer from the cache, or ask; of equal requests in flight one is sent.

        Args:
            ask: the request.
            hear: is given the answer's chunks as they come; of one that comes whole, one for each choice.

        Raises:
            AskError: the engine could not answer.
            UserError: the cache can't be used.
        """
        sending = ask.sending(hear)
        with self._under_way():
            answer = await self._claimed(await self._asked(ask, sending), ask.call)
        if hear is not None and not (sending is not None and sending.heard):
            for chunk in whole_chunks(answer.response):
                hear(chunk)
        return answer

    async def _claimed(self, asked: Asked, call: Call) -> Answer:
        if not asked.point.experiment.fills_cache:
            return await self._answer(asked, call)
        if not self._claims.take(asked.key):
            waiting = self._claims.wait(asked.key)
            await (waiting if asked.sending is None else asked.sending.bounded(waiting, begun=True))
        try:
            return await self._answer(asked, call)
        finally:
            self._claims.release(asked.key)

    @contextmanager
    def _under_way(self) -> Iterator[None]:
        """Have the current task end when this is closed, with an error that says so."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            self._require_open()
            yield
        except asyncio.CancelledError:
            self._require_open()
            raise
        except AskError as error:
            self._failed |= isinstance(error, EngineError)
            translate(error)
            raise
        finally:
            self._tasks.discard(task)

    async def sleep(self, level: int) -> None:
        """Have the server free its GPUs' memory once nothing is in flight; none is started for that."""
        if self._coming is None and wants_log(self.declared.plain.point):
            return
        while self._tasks:
            await asyncio.wait(self._tasks)
        begun = await self._begun(self.declared.plain.point)
        async with self._sleeping:
            await self._wake(begun)
            if begun.sleeper is not None:
                await begun.sleeper.sleep(level)
                self._asleep = True

    async def wake_up(self) -> None:
        """Have the server take its memory again; one that isn't asleep stays as it is."""
        if self._asleep:
            await self._awake(await self._begun(self.declared.plain.point))

    async def close(self) -> None:
        """End what was started, and whatever is in flight."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._coming is not None:
            self._coming.cancel()  # of no effect on an engine that has started
            await asyncio.wait([self._coming])
        await self._stack.aclose()
        if self._shelf is not None:
            await self._shelf.close()

    async def _answer(self, asked: Asked, call: Call) -> Answer:
        if (stored := await self._find(asked)) is not None:
            return Answer(stored, cached=True)
        response = await self._requested(asked, call)
        experiment = asked.point.experiment
        if experiment.fills_cache:
            await self._opened().store(*_stored(asked, call, response))
            if checked_apart(asked.request):
                await self._opened().passed(asked.key)
            if not experiment.reads_cache:
                self._fresh.add(asked.key)
        return Answer(response, cached=False)

    async def _requested(self, asked: Asked, call: Call) -> Response:
        """Return a response that has all that was asked; what takes long to check is on disk before that."""
        request = asked.request
        try:
            if not checked_apart(request):
                response = await self._generated(asked)
                require_obeyed(request, response)
                return response
            reads = asked.point.experiment.reads_cache
            if data := await self._opened().pending(asked.key) if reads else None:
                response = decode_response(data)
            else:
                response = await self._generated(asked)
                await self._keep(asked, call, response, rejected=False)
            await asyncio.to_thread(require_obeyed, request, response)
        except IncompleteResponseError as error:
            if isinstance(error.response, Response):
                await self._keep(asked, call, error.response, rejected=True)
            raise
        return response

    async def _generated(self, asked: Asked) -> Response:
        engine, sending = await self._started(asked.point), asked.sending
        if sending is None:
            return await engine.generate(asked.request)
        return await sending.bounded(engine.generate(asked.request, sending))

    async def _keep(self, asked: Asked, call: Call, response: Response, *, rejected: bool) -> None:
        if asked.point.experiment.fills_cache:
            await self._opened().keep(_stored(asked, call, response), rejected=rejected)

    async def _find(self, asked: Asked) -> Response | None:
        if not asked.point.experiment.reads_cache and asked.key not in self._fresh:
            return None
        data = await self._opened().find(asked.key)
        return None if data is None else decode_response(data)

    def _require_open(self) -> None:
        if self._closed:
            raise EngineError("the LLM was closed before it answered")

    def _opened(self) -> Shelf:
        if self._shelf is None:
            refresh = self.declared.plain.point.experiment.cache == "refresh"
            self._shelf = Shelf(self.declared.cache, replace=refresh)
        return self._shelf

    async def _asked(self, ask: Ask, sending: Sending | None) -> Asked:
        if self._scope is None:
            async with self._identifying:
                self._scope = self._scope or await asyncio.to_thread(self.declared.scope)
        point = ask.call.point
        sampling = ask.call.drawing.sampling(_NO_ROW, (), ask.sample)
        scope = request_scope(self._scope, point.experiment.engine, sampling)  # type: ignore[arg-type]
        request = Request(point.experiment.task, ask.input, sampling, scope, ask.sample)
        try:
            canonical = request.canonical()
        except (TypeError, ValueError, RecursionError, msgspec.EncodeError) as error:
            raise InputError(f"input: a message holds what JSON can't: {error}") from None
        return Asked(point, request, canonical, request_key(canonical), sending)

    async def _started(self, point: PlannedPoint) -> Retrying:
        if self._coming is not None:
            check_start(point, self._begun_for)
        begun = await self._begun(point)
        await self._awake(begun)
        return begun.engine

    async def _awake(self, begun: Started) -> None:
        if self._asleep:
            async with self._sleeping:
                await self._wake(begun)

    async def _begun(self, point: PlannedPoint) -> Started:
        """Return the engine, started for a point if need be; all who wait for a start that fails are told."""
        if self._coming is None:
            self._begun_for = point.experiment.task
            self._coming = asyncio.create_task(self._start(point))
            self._coming.add_done_callback(self._settle)
        coming = self._coming
        if not coming.done():
            await asyncio.wait([coming])
        return coming.result()

    def _settle(self, start: asyncio.Task[Started]) -> None:
        if start.cancelled() or start.exception() is not None:
            self._coming = None

    async def _wake(self, begun: Started) -> None:
        if self._asleep and begun.sleeper is not None:
            await begun.sleeper.wake_up()
            self._asleep = False

    async def _start(self, point: PlannedPoint) -> Started:
        folder = log_folder(self.declared.places.runs) if wants_log(point) else None
        begun = await started(point, folder, self.declared.plain.secrets, self._tell, self._stack)
        if folder is not None:
            # Of a start that failed, the log is what tells why: it stays.
            self._stack.callback(self._remove, folder)
        return begun

    def _remove(self, folder: Path) -> None:
        """Remove the folder of a server's log, unless an error named it."""
        if not self._failed:
            shutil.rmtree(folder, ignore_errors=True)

    def _tell(self, trouble: str) -> None:
        self.trouble = self.declared.plain.secrets.mask(trouble)


def _stored(asked: Asked, call: Call, response: Response) -> tuple[bytes, bytes, bytes]:
    """Return the row of the cache that holds a response."""
    mask = call.secrets.mask_json
    return asked.key, mask(asked.canonical), mask(stored_form(response)[1])
