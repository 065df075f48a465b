"""Asks Mistral through its SDK; imported only when it is used."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, contextmanager
from contextvars import ContextVar
from typing import Any

import httpx2
import msgspec
import pydantic
from mistralai.client import Mistral as Sdk
from mistralai.client import errors

from runner.engines.chunks import Chunk
from runner.engines.course import Course
from runner.engines.lenient import Reading
from runner.engines.mistral import Mistral
from runner.engines.mistral_wire import arguments_of, read_completion
from runner.engines.notes import SILENT, Notes
from runner.engines.openai_stream import chunked, put_together
from runner.engines.provider_wire import invalid
from runner.engines.sdk import status_failure, transport_failure
from runner.engines.sdk_http import BoundedHttp, taken
from runner.engines.sse import events
from runner.engines.task_answers import read_vectors
from runner.errors import AskError, BadRequestError
from runner.spec import Model
from runner.values import Json, Request, Response, Timing

_ADDRESS = "https://api.mistral.ai"

_further: ContextVar[Mapping[str, Json] | None] = ContextVar("further", default=None)
"""What is sent beside what the SDK knows: it has no argument for that, but takes an HTTP client."""


class _Http(BoundedHttp):
    """The HTTP client under the SDK: adds what is passed through to the body."""

    def build_request(self, method: str, url: Any, *, content: Any = None, **how: Any) -> httpx2.Request:
        if (further := _further.get()) is not None and isinstance(content, str | bytes):
            content = msgspec.json.encode({**msgspec.json.decode(content), **further})
        return super().build_request(method, url, content=content, **how)


class MistralClient:
    """Mistral's async client, as `SdkEngine` uses it."""

    raises: tuple[type[Exception], ...] = (
        errors.MistralError,
        errors.NoResponseError,
        httpx2.HTTPError,
        pydantic.ValidationError,
    )

    def __init__(self, settings: Mistral, model: Model, notes: Notes = SILENT) -> None:
        self._notes = notes
        self._model = model.name
        self._in_pieces = settings.stream
        self._address = settings.base_url or _ADDRESS
        self._headers = settings.further_headers()
        self._http = _Http(settings.max_response_bytes)
        self._sdk = Sdk(api_key=settings.api_key(), server_url=self._address, async_client=self._http)

    async def ask(self, request: Request) -> Response:
        reading = Reading(request.sampling, self._notes, version="model")
        if self._in_pieces:
            body, timing = await put_together(self._events(request), self._course(request))
            return read_completion(body, timing, reading)
        arguments = arguments_of(request, self._model)
        with _passing(request):
            async with taken(
                self._sdk.chat.complete_async(**arguments, http_headers=self._headers)
            ) as answer:
                return read_completion(await answer.aread(), Timing(), reading)

    async def embed(self, requests: Sequence[Request]) -> list[Response]:
        inputs = [str(request.input) for request in requests]
        with _passing(requests[0]):
            sending = self._sdk.embeddings.create_async(
                model=self._model, inputs=inputs, http_headers=self._headers
            )
            async with taken(sending) as answer:
                body = await answer.aread()
        return read_vectors(body, requests, Reading(requests[0].sampling, self._notes))

    async def stream(self, request: Request) -> AsyncGenerator[Chunk | Response]:
        events = chunked(self._events(request), self._course(request), request.task)
        async with aclosing(events) as found:
            async for item in found:
                if isinstance(item, Chunk):
                    yield item
                else:
                    yield read_completion(*item, Reading(request.sampling, self._notes, version="model"))

    def _course(self, request: Request) -> Course:
        return Course(self._address, request.sampling.get("n") or 1, self._notes)

    async def _events(self, request: Request) -> AsyncGenerator[bytes]:
        arguments = arguments_of(request, self._model)
        with _passing(request):
            # Sent here: a generator's context is that of whoever takes the next event.
            opened = taken(self._sdk.chat.stream_async(**arguments, http_headers=self._headers))
            answer = await opened.__aenter__()
        async with AsyncExitStack() as stack:
            stack.push_async_exit(opened)
            async with aclosing(events(answer.aiter_bytes())) as found:
                async for data in found:
                    yield data

    def failure(self, error: Exception) -> AskError:
        if isinstance(error, errors.MistralError):
            asked = str(error.raw_response.request.url)
            return status_failure(error.status_code, error.body.encode(), error.headers, asked, self._address)
        if isinstance(error, pydantic.ValidationError):
            return BadRequestError(f"the SDK refuses the request: {invalid(error)}")
        return transport_failure(error, self._address)

    async def close(self) -> None:
        await self._http.aclose()


@contextmanager
def _passing(request: Request) -> Iterator[None]:
    token = _further.set(request.sampling.get("passthrough"))
    try:
        yield
    finally:
        _further.reset(token)
