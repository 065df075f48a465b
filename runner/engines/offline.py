"""Engines of weights inside this process: what YAML may say of each, and how they are asked."""

from __future__ import annotations

import argparse
import os
import traceback
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
)
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from types import TracebackType
from typing import Annotated, Literal, NoReturn, Protocol, Self, TypeVar

from pydantic import Field

from runner.engines.adapters import adapter_fault
from runner.engines.asgi import App, AsgiClient
from runner.engines.base import EngineContext
from runner.engines.openai_engine import Endpoint, OpenAIEngine
from runner.engines.served import FLAG_NAME, Arguments, Flag, Launched, Serving, launched, one_token
from runner.engines.weights import weights_fault
from runner.errors import AskError, ConnectionFailedError, EngineError, EngineStartError, Fault, ServerError
from runner.servers import Watch
from runner.spec import EngineSettings, Model, Topology
from runner.values import Request, Response


class OfflineSettings(EngineSettings):
    """What every engine of weights inside this process lets you set."""

    args: dict[Annotated[str, Field(pattern=FLAG_NAME)], Flag | tuple[Flag, ...]] = Field(
        default_factory=dict
    )
    """Further arguments of the engine, in its own flag names: true is a bare flag, a list repeats it."""
    env: dict[str, str] = Field(default_factory=dict)
    """Environment variables, set in this process before the engine is imported."""
    device: Literal["cuda", "cpu"] = "cuda"
    """cpu claims no GPU."""
    generation_config: Literal["neutral", "model"] = "neutral"
    """Where sampling that nobody declared comes from: neutral defaults, or the model's own."""
    stream: bool = False
    """Have answers come in pieces, and record the time to the first and between them."""


NEUTRAL = frozenset({"env", "device", "stream"})
"""Settings of an engine in this process that don't change an answer."""


class Running(Protocol):
    """An engine that runs in this process."""

    @property
    def app(self) -> App:
        """The engine's own API, without a server."""
        ...

    @property
    def gone(self) -> str | None:
        """Why it can't answer any more; None while it can."""
        ...


@dataclass(frozen=True, slots=True)
class Offline:
    """How one kind of engine is run in this process.

    Attributes:
        name: the engine kind.
        serving: the same engine as a server: its parameters, and how they are sent.
        arguments: makes its command line, without the program; of it the job makes the engine.
        open: starts the engine in the event loop that it is entered in, and ends it; processes of its own
            that are left then are killed.
        version: of the engine's package.
    """

    name: str
    serving: Serving
    arguments: Callable[[Arguments, Launched, Mapping[str, Flag]], list[str]]
    open: Callable[[Sequence[str]], AbstractAsyncContextManager[Running]]
    version: Callable[[], str | None]

    def faults(self, settings: EngineSettings, model: Model) -> list[Fault]:
        """Find what would stop it: weights that aren't here, flags that aren't the user's."""
        assert isinstance(settings, OfflineSettings)
        found = [fault for fault in (weights_fault(model), adapter_fault(model)) if fault is not None]
        return found + self.serving.owned_faults(settings.args, model)


def offline_devices(settings: EngineSettings, topology: Topology) -> int:
    """GPUs of an engine in this process."""
    assert isinstance(settings, OfflineSettings)
    return 0 if settings.device == "cpu" else topology.devices


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
            raise EngineStartError(
                f"{offline.name} needs {offline.serving.name}, which is not installed here"
            )
        if faults := offline.faults(settings, self._model):
            raise EngineStartError("; ".join(str(fault) for fault in faults))
        start = launched(settings, self._model, self._context.topology, port=1)
        os.environ.update({**offline.serving.env, **settings.env})
        async with AsyncExitStack() as stack:
            watch = stack.enter_context(Watch(self._context.held))
            words = offline.arguments(settings, start, {})
            self._running = await stack.enter_async_context(offline.open(words))
            self._client = await stack.enter_async_context(self._asking(start, self._running.app))
            try:
                await self._client.generate(one_token(offline.serving.probe))
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

    async def stream(self, request: Request) -> AsyncIterator[str]:
        """Yield the answer's text as it comes."""
        assert self._client is not None, "the engine is not started"
        with self._alive():
            async for text in self._client.stream(request):
                yield text

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
        return OpenAIEngine(
            Endpoint(
                engine=self._offline.name,
                base_url=f"http://{self._offline.name}/v1",
                body=self._offline.serving.body(start.name, start.adapter),
                timeout=self._settings.timeout,
                stream=self._settings.stream,
                client=partial(AsgiClient, app),
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
            traceback.print_exc()
            line = next((line for line in reversed(str(error).splitlines()) if line.strip()), repr(error))
            raise EngineStartError(f"{name} can't start: {line.strip()}") from error
        yield started
