"""What engines that ask through a provider's own SDK share: settings, the engine around a client, its errors.

A kind is a module without the SDK: settings (a `ProviderSettings`), capabilities and a `create` that
calls `require_ready` and only then imports a second module, which makes a `Client` of the SDK's async
client; `SdkEngine(client, settings)` is the engine.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from types import TracebackType
from typing import Any, Protocol, Self, runtime_checkable

import msgspec
from pydantic import Field

from runner.engines.asked import require_asked
from runner.engines.base import EngineKind
from runner.engines.batching import Batcher
from runner.engines.chunks import Chunk
from runner.engines.constraints import with_values
from runner.engines.cut_calls import without_cut_calls
from runner.engines.openai_compatible import served_model_faults
from runner.engines.provider_errors import one_line, provider_error, report
from runner.engines.redirects import is_redirect, redirect_error
from runner.engines.remote import REMOTE_NEUTRAL, BaseUrl, RemoteSettings
from runner.engines.sdk_bodies import raised_within
from runner.engines.stops import without_stops
from runner.errors import AskError, ConnectionFailedError, EngineStartError, Fault, RequestTimeoutError
from runner.secrets import Secrets
from runner.spec import EngineSettings, Model
from runner.values import Request, Response

CONNECT_SECONDS = 10.0
"""Time to have a connection; counted in the time of the request."""

NEUTRAL = REMOTE_NEUTRAL
"""Settings of a provider that don't change an answer."""


class ProviderSettings(RemoteSettings):
    """What every provider's engine lets you set; each kind gives `api_key_env` its own default."""

    api_key_env: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    """Environment variable that holds the key."""
    base_url: BaseUrl | None = None
    """Another address than the provider's own, such as a gateway's."""

    def api_key(self) -> str:
        """Return the key; `require_ready` has seen that it is set."""
        return os.environ[self.key_variable() or self.api_key_env]

    def further_headers(self) -> dict[str, str]:
        """Return the headers that `headers_env` names, with their values."""
        return {name: os.environ[variable] for name, variable in self.headers_env.items()}


def provider_faults(settings: EngineSettings, model: Model) -> list[Fault]:
    """Find variables that are unset or unfit, and what of the model is the provider's own affair."""
    assert isinstance(settings, ProviderSettings)
    return settings.variable_faults() + served_model_faults(settings.kind, model)


def rooted_faults(settings: EngineSettings, model: Model) -> list[Fault]:
    """Find what `provider_faults` does, and what SDKs of no OpenAI form don't take.

    They add the API's version to the address themselves.
    """
    assert isinstance(settings, ProviderSettings)
    faults = provider_faults(settings, model)
    last = (settings.base_url or "").rpartition("/")[2]
    if re.fullmatch(r"v\d+(beta\d*)?", last):
        faults.append(Fault("engine.base_url", f"ends in /{last}, which is added to it", "leave it off"))
    return faults


def require_ready(kind: EngineKind, settings: EngineSettings, model: Model) -> None:
    """Make sure that an engine of this kind can be made.

    Raises:
        EngineStartError: the SDK is not installed, with the line that installs it, or a variable is unset.
    """
    if install := kind.missing(settings):
        raise EngineStartError(f"{kind.name} needs {kind.distribution}, which is not installed: {install}")
    if faults := kind.check(settings, model):
        raise EngineStartError("; ".join(str(fault) for fault in faults))


class Client(Protocol):
    """One provider's SDK, as `SdkEngine` uses it; its own retries are off and it has no time-out of its own.

    Attributes:
        raises: the exceptions of the SDK and of its transport; any other is a bug.
    """

    @property
    def raises(self) -> tuple[type[Exception], ...]: ...

    async def ask(self, request: Request) -> Response:
        """Ask once; raises an `AskError` or one of `raises`. What was asked for is checked by the engine."""
        ...

    def stream(self, request: Request) -> AsyncGenerator[Chunk | Response]:
        """Yield chunks as they come, and what `ask` returns; raises as that does."""
        ...

    def failure(self, error: Exception) -> AskError:
        """Return the runner's error for one of `raises`: see `status_failure`, `transport_failure`."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


@runtime_checkable
class Embedder(Protocol):
    """A `Client` of an SDK that embeds."""

    async def embed(self, requests: Sequence[Request]) -> list[Response]:
        """Ask once for several inputs; raises as `Client.ask` does."""
        ...


class SdkEngine:
    """An engine around a provider's SDK: bounds the time, checks the answer, translates what is raised."""

    def __init__(self, client: Client, settings: ProviderSettings) -> None:
        self.client = client
        self._raises: tuple[type[Exception], ...] = (TimeoutError, *client.raises)
        self._timeout = settings.timeout
        self._engine = settings.kind
        self._secrets = Secrets.of(settings.secret_names())
        self._version: str | None = None
        self._batcher = Batcher(self._embed, getattr(settings, "batch_size", 1))

    @property
    def version(self) -> str | None:
        """What the provider calls what answered, once it has."""
        return self._version

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._batcher.close()
        await self.client.close()

    async def generate(self, request: Request) -> Response:
        if request.task == "embed":
            return await self._batcher.ask(request)
        start = time.perf_counter()
        with self._told():
            async with asyncio.timeout(self._timeout):
                answer = await self.client.ask(request)
            return self._checked(request, answer, start)

    def _checked(self, request: Request, answer: Response, start: float) -> Response:
        response = _timed(answer, start)
        require_asked(request, response)
        response = without_cut_calls(request, without_stops(request, response))
        response = with_values(request, response)
        self._version = response.engine_version
        return response

    async def _embed(self, requests: Sequence[Request]) -> list[Response]:
        assert isinstance(self.client, Embedder), "the capabilities refuse it"
        start = time.perf_counter()
        with self._told():
            async with asyncio.timeout(self._timeout):
                answers = await self.client.embed(requests)
        return [_timed(msgspec.structs.replace(one, engine=self._engine), start) for one in answers]

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Translate what is raised, and keep secrets out of it."""
        try:
            yield
        except AskError as error:
            report(error, self._secrets)
            raise
        except self._raises as error:
            # Secrets are kept out of our error alone: the cause in a traceback would show them.
            raise self._failure(error) from None

    async def stream(self, request: Request) -> AsyncGenerator[Chunk | Response]:
        """Yield chunks as they come, and the response."""
        start, deadline = time.perf_counter(), asyncio.get_running_loop().time() + self._timeout
        with self._told():
            async with aclosing(self.client.stream(request)) as items:
                while True:
                    # Each wait is bounded by itself: between them, the time is the caller's.
                    async with asyncio.timeout_at(deadline):
                        item = await anext(items)
                    if isinstance(item, Response):
                        yield self._checked(request, item, start)
                        return
                    yield item

    def _failure(self, error: Exception) -> AskError:
        if isinstance(error, TimeoutError):
            return RequestTimeoutError(f"no answer within {self._timeout:g} s")
        failure = raised_within(error) or self.client.failure(error)
        report(failure, self._secrets)
        return failure


def _timed(response: Response, start: float) -> Response:
    timing = msgspec.structs.replace(response.timing, seconds=time.perf_counter() - start)
    return msgspec.structs.replace(response, timing=timing)


def send_only(sdk: Any, headers: Mapping[str, str]) -> None:
    """Have a client send *headers* alone beside its own.

    SDKs made by Stainless add others that the environment names (OPENAI_CUSTOM_HEADERS); a key among them
    would take the place of ours.
    """
    assert hasattr(sdk, "_custom_headers"), "the SDK has another way now"
    sdk._custom_headers = dict(headers)  # noqa: SLF001 - what its constructor adds to can only be taken back here


def status_failure(
    status: int, body: bytes, headers: Mapping[str, str], asked: str = "", base_url: str = ""
) -> AskError:
    """Return the error that an answer with *status* stands for; *headers* take names in any case.

    Args:
        status: of HTTP.
        body: what came with it.
        headers: what came before it.
        asked: the URL that was requested.
        base_url: what it begins with, as `engine.base_url` would have it.
    """
    if is_redirect(status):
        return redirect_error(status, asked, headers.get("location"), base_url)
    return provider_error(status, body, headers.get("retry-after"), headers.get("retry-after-ms"))


def transport_failure(error: Exception, address: str) -> AskError:
    """Return the error for an exception of httpx or httpx2, or for one of an SDK that such a one caused."""
    cause = error.__cause__ or error
    names = {kind.__name__ for kind in type(cause).__mro__}
    told = one_line(f"{address}: {str(cause) or type(cause).__name__}")
    if "TimeoutException" in names and "ConnectTimeout" not in names:
        return RequestTimeoutError(told)
    if "ConnectTimeout" in names:
        told = f"{address}: timed out while connecting"
    return ConnectionFailedError(told)
