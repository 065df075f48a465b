"""The engine that holds its weights in this process, and is asked over its own API."""

from __future__ import annotations

import argparse
import os
import traceback
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    aclosing,
    asynccontextmanager,
    contextmanager,
)
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import NoReturn, Self, TypeVar

from runner.engines.asgi import App, AsgiClient
from runner.engines.base import EngineContext
from runner.engines.chunks import Chunk
from runner.engines.offline import Offline, OfflineSettings, Running
from runner.engines.openai_endpoint import Endpoint
from runner.engines.openai_engine import OpenAIEngine
from runner.engines.readiness import smallest
from runner.engines.served import Launched, launched
from runner.errors import AskError, ConnectionFailedError, EngineError, EngineStartError, ServerError
from runner.extras import pip_install
from runner.servers import Watch
from runner.spec import EngineSettings, Model
from runner.terminal import write_error
from runner.values import Request, Response


class OfflineEngine:
    """An engine of weights in this process, asked over its own API, but without a socket.

    Requests join those under way; one that is cancelled is aborted.
    """

    def __init__(
        self, offline: Offline, settings: EngineSettings, model: Model, context: EngineContext
    ) -> None:
        assert isinstance(settings, OfflineSettings)
        self._offline = offline
        self._settings = settings
        self._model = model
        self._context = context
        self._stack = AsyncExitStack()
        self._running: Running | None = None
        self._client: OpenAIEngine | None = None

    @property
    def version(self) -> str | None:
        """Version of the installed package, once started."""
        return self._offline.version() if self._client is not None else None

    async def __aenter__(self) -> Self:
        offline, settings = self._offline, self._settings
        if find_spec(offline.serving.name) is None:
            needed = offline.serving.name
            install = pip_install(needed)
            raise EngineStartError(f"{offline.name} needs {needed}, which is not installed: {install}")
        task = self._context.task
        faults = offline.faults(settings, self._model)
        if faults := faults + offline.serving.heads.faults(settings, self._model, task):
            raise EngineStartError("; ".join(str(fault) for fault in faults))
        os.environ.update({**offline.serving.env, **settings.env})
        async with AsyncExitStack() as stack:
            watch = stack.enter_context(Watch(self._context.held))
            # Only the start reads what is copied, and a program that has one may have no folder for it.
            with TemporaryDirectory(prefix="runner-") as copies:
                model = offline.serving.templated(self._model, settings.args, Path(copies))
                start = launched(settings, model, self._context.topology, 1, task)
                words = offline.arguments(settings, start, {})
                self._running = await stack.enter_async_context(offline.open(words))
            self._client = await stack.enter_async_context(self._asking(start, self._running.app))
            try:
                await self._client.generate(smallest(task, offline.serving.probe))
            except AskError as error:
                raise EngineStartError(f"{offline.name} started but can't answer: {error}") from error
            watch.settle()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()
        self._running = self._client = None

    async def generate(self, request: Request) -> Response:
        assert self._client is not None, "the engine is not started"
        with self._alive():
            return await self._client.generate(request)

    async def stream(self, request: Request) -> AsyncGenerator[Chunk | Response]:
        """Yield chunks as they come, and the response."""
        assert self._client is not None, "the engine is not started"
        with self._alive():
            async with aclosing(self._client.stream(request)) as items:
                async for item in items:
                    yield item

    @contextmanager
    def _alive(self) -> Iterator[None]:
        """Tell a request that failed from an engine that is gone: asking that again can't help."""
        try:
            yield
        except (ServerError, ConnectionFailedError) as error:
            if self._running is not None and (why := self._running.gone) is not None:
                raise EngineError(f"{self._offline.name} is gone: {why}") from error
            raise

    def _asking(self, start: Launched, app: App) -> OpenAIEngine:
        serving, settings = self._offline.serving, self._settings
        return OpenAIEngine(
            Endpoint(
                engine=self._offline.name,
                base_url=f"http://{self._offline.name}/v1",
                body=serving.body(start.name, start.adapter),
                timeout=settings.timeout,
                stream=settings.stream,
                model=start.name,
                further=serving.further(start.adapter),
                wires=serving.wires,
                batch_size=settings.batch_size,
                client=partial(AsgiClient, app),
                notes=self._context.notes,
            )
        )


_Parser = TypeVar("_Parser", bound=argparse.ArgumentParser)


def strict(name: str, parser: _Parser) -> _Parser:
    """Return an engine's own parser, which from now on raises `EngineStartError` where it would exit."""

    def refuse(message: str) -> NoReturn:
        raise EngineStartError(f"{name} refuses its arguments: {message}")

    parser.error = refuse  # type: ignore[method-assign]
    return parser


_FAILURES = (RuntimeError, ValueError, OSError, KeyError, TypeError, AttributeError, ImportError, EOFError)
"""What engines raise on a model or a machine that they can't run on."""
_Started = TypeVar("_Started")


@asynccontextmanager
async def starting(name: str, engine: AbstractAsyncContextManager[_Started]) -> AsyncIterator[_Started]:
    """Enter an engine, and leave it.

    Raises:
        EngineStartError: it can't start.
    """
    async with AsyncExitStack() as stack:
        try:
            started = await stack.enter_async_context(engine)
        except _FAILURES as error:
            write_error(traceback.format_exc().rstrip("\n"))
            line = next((line for line in reversed(str(error).splitlines()) if line.strip()), repr(error))
            raise EngineStartError(f"{name} can't start: {line.strip()}") from error
        yield started
