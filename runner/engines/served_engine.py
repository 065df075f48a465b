"""The engine that asks a server of weights: attached to by address, or started by the job on its devices."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from functools import partial
from types import TracebackType
from typing import Self

from runner.engines.adapters import Adapter
from runner.engines.base import EngineContext
from runner.engines.chunks import Chunk
from runner.engines.http import HttpClient
from runner.engines.openai_endpoint import Endpoint
from runner.engines.openai_engine import OpenAIEngine
from runner.engines.readiness import smallest
from runner.engines.served import ServerSettings, Serving, launched
from runner.errors import ConnectionFailedError, EngineError, EngineStartError, Fault
from runner.secrets import Secrets
from runner.servers import Server, ServerExitedError, ServerStart, free_port
from runner.spec import EngineSettings, Model
from runner.values import Request, Response

_LOG = "server-0.log"
_PORTS_TRIED = 3
_ENDING_SECONDS = 3.0
"""After which a server that died is known to have: its children have a second to end."""


class ServedEngine:
    """A server of weights; entering starts it, or attaches to the one at the address."""

    def __init__(
        self, serving: Serving, settings: EngineSettings, model: Model, context: EngineContext
    ) -> None:
        assert isinstance(settings, ServerSettings)
        self._serving = serving
        self._settings = settings
        self._model = model
        self._context = context
        self._server: Server | None = None
        self._client: OpenAIEngine | None = None

    @property
    def version(self) -> str | None:
        """What the server calls itself in its answers, once it has."""
        return self._client.version if self._client is not None else None

    @property
    def address(self) -> str:
        """Where the server's endpoints beside the OpenAI API are, once it is started."""
        if self._settings.base_url is not None:
            return self._settings.base_url.removesuffix("/v1")
        assert self._server is not None, "the engine is not started"
        return f"http://127.0.0.1:{self._server.port}"

    async def __aenter__(self) -> Self:
        self._refuse(self._serving.faults(self._settings, self._model) + self._head_faults())
        if self._settings.base_url is not None:
            self._client = await self._connected(
                self._settings.base_url, self._settings.asked_for(self._model)
            )
            return self
        tries = _PORTS_TRIED
        while not await self._started(last=tries == 1):
            tries -= 1
        return self

    def _head_faults(self) -> list[Fault]:
        return self._serving.heads.faults(self._settings, self._model, self._context.task)

    def _refuse(self, faults: Sequence[Fault]) -> None:
        if faults:
            raise EngineStartError("; ".join(str(fault) for fault in faults))

    async def _started(self, *, last: bool) -> bool:
        """Start the server; False if somebody took its port first and this was not the *last* try."""
        try:
            await self._start()
        except ServerExitedError as error:
            await self._stop()
            if error.port_taken and not last:
                return False
            raise
        except BaseException:
            await self._stop()
            raise
        return True

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    async def generate(self, request: Request) -> Response:
        assert self._client is not None, "the engine is not started"
        try:
            return await self._client.generate(request)
        except ConnectionFailedError as error:
            await self._require_server(error)
            raise

    async def stream(self, request: Request) -> AsyncGenerator[Chunk | Response]:
        """Yield chunks as they come, and the response."""
        assert self._client is not None, "the engine is not started"
        try:
            async with aclosing(self._client.stream(request)) as items:
                async for item in items:
                    yield item
        except ConnectionFailedError as error:
            await self._require_server(error)
            raise

    async def _require_server(self, error: ConnectionFailedError) -> None:
        """Tell a connection that may come back from a server that is gone.

        Raises:
            EngineError: the server that the job started has ended.
        """
        if self._server is not None and await self._server.exited(_ENDING_SECONDS):
            try:
                self._server.require_alive()
            except ServerExitedError as ended:
                raise EngineError(ended.message) from error

    async def _start(self) -> None:
        settings, context = self._settings, self._context
        model = self._serving.templated(self._model, settings.args, context.folder)
        start = launched(settings, model, context.topology, free_port(), context.task)
        self._server = Server(
            ServerStart(
                name=self._serving.name,
                command=self._serving.command(settings, start),
                port=start.port,
                log=context.folder / _LOG,
                env={**self._serving.env, **settings.env},
                held=context.held,
                # It has all of this process's environment, and may print it.
                secrets=(*context.secrets, *Secrets.of_environment().plain),
            )
        )
        client = self._client = await self._connected(
            f"http://127.0.0.1:{start.port}/v1", start.name, start.adapter
        )

        async def probe() -> None:
            await client.generate(smallest(context.task, self._serving.probe))

        await self._server.ready(probe, settings.startup_timeout)
        self._refuse(self._head_faults())  # of weights that it has fetched itself

    async def _connected(self, base_url: str, name: str, adapter: Adapter | None = None) -> OpenAIEngine:
        settings = self._settings
        endpoint = Endpoint(
            engine=self._serving.name,
            base_url=base_url,
            body=self._serving.body(name, adapter),
            headers=settings.headers() if settings.base_url is not None else (),
            timeout=settings.timeout,
            stream=settings.stream,
            model=name,
            further=self._serving.further(adapter),
            wires=self._serving.wires,
            batch_size=getattr(settings, "batch_size", 1),
            secrets=Secrets.of(settings.secret_names()),
            notes=self._context.notes,
            # No proxy stands between a job and its own server, wherever the environment names one.
            client=partial(
                HttpClient,
                proxy=settings.base_url is not None,
                max_response_bytes=settings.max_response_bytes,
            ),
        )
        return await OpenAIEngine(endpoint).__aenter__()

    async def _stop(self) -> None:
        if self._client is not None:
            await self._client.__aexit__(None, None, None)
            self._client = None
        if self._server is not None:
            await self._server.stop()
            self._server = None
