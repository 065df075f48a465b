"""Asks Mistral through its SDK; imported only when it is used."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from contextvars import ContextVar
from typing import Any

import httpx2
import msgspec
import pydantic
from mistralai.client import Mistral as Sdk
from mistralai.client import errors, models

from runner.engines.course import Course
from runner.engines.mistral import Mistral
from runner.engines.mistral_pieces import Pieces
from runner.engines.mistral_wire import arguments_of, read_chunk, read_completion
from runner.engines.provider_errors import answered_error
from runner.engines.provider_wire import invalid, malformed
from runner.engines.sdk import status_failure, transport_failure
from runner.engines.sdk_http import BoundedHttp
from runner.engines.task_answers import embedded
from runner.errors import AskError, BadRequestError, ConnectionFailedError
from runner.spec import Model
from runner.values import Json, Request, Response

_ADDRESS = "https://api.mistral.ai"
_OK = 200

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

    def __init__(self, settings: Mistral, model: Model) -> None:
        self._model = model.name
        self._in_pieces = settings.stream
        self._address = settings.base_url or _ADDRESS
        self._headers = settings.further_headers()
        self._http = _Http(settings.max_response_bytes)
        self._sdk = Sdk(api_key=settings.api_key(), server_url=self._address, async_client=self._http)

    async def ask(self, request: Request) -> Response:
        if self._in_pieces:
            return await self._put_together(request)
        arguments = arguments_of(request, self._model)
        with _passing(request):
            answer = await self._sdk.chat.complete_async(**arguments, http_headers=self._headers)
        return read_completion(answer)

    async def embed(self, requests: Sequence[Request]) -> list[Response]:
        texts = [str(request.input) for request in requests]
        with _passing(requests[0]):
            answer = await self._sdk.embeddings.create_async(
                model=self._model, inputs=texts, http_headers=self._headers
            )
        data = sorted(answer.data, key=lambda one: one.index or 0)
        return embedded([one.embedding or () for one in data], answer.usage.prompt_tokens or 0, requests)

    async def stream(self, request: Request) -> AsyncGenerator[str]:
        ended = False
        async with aclosing(self._events(request)) as events:
            async for event in events:
                yield read_chunk(event)
                ended = ended or any(choice.finish_reason for choice in event.choices)
        if not ended:
            raise ConnectionFailedError(f"{self._address}: the stream ended before the answer did")

    async def _put_together(self, request: Request) -> Response:
        course = Course(self._address, request.sampling.get("n") or 1)
        pieces = Pieces(course)
        async with aclosing(self._events(request)) as events:
            async for event in events:
                pieces.add(event)
        course.require_end()
        return msgspec.structs.replace(pieces.response(), timing=course.timing())

    async def _events(self, request: Request) -> AsyncGenerator[models.CompletionChunk]:
        arguments = arguments_of(request, self._model)
        with _passing(request):
            events = await self._sdk.chat.stream_async(**arguments, http_headers=self._headers)
        async with events, aclosing(events.generator):
            try:
                async for event in events:
                    yield event.data
            except pydantic.ValidationError as error:
                raise malformed(invalid(error)) from None

    def failure(self, error: Exception) -> AskError:
        if isinstance(error, errors.MistralError):
            if error.status_code != _OK:
                return status_failure(error.status_code, error.body.encode(), error.headers)
            body = error.body.encode()
            cause = error.__cause__
            why = invalid(cause) if isinstance(cause, pydantic.ValidationError) else str(cause)
            return answered_error(body) or malformed(why, body)
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
