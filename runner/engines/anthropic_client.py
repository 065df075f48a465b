"""Asks Anthropic through its SDK; imported only when it is used."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import anthropic
import httpx2
import msgspec

from runner.engines.anthropic import Anthropic
from runner.engines.anthropic_body import fields_of
from runner.engines.anthropic_pieces import Pieces
from runner.engines.anthropic_wire import read_message
from runner.engines.chunks import Chunk, response_of
from runner.engines.course import Course
from runner.engines.lenient import Reading
from runner.engines.notes import SILENT, Notes
from runner.engines.sdk import CONNECT_SECONDS, send_only, status_failure, transport_failure
from runner.engines.sdk_bodies import limited_bodies
from runner.engines.sse import events
from runner.errors import AskError
from runner.spec import Model
from runner.values import Request, Response

_ADDRESS = "https://api.anthropic.com"
_LEGACY_VERSION = "2023-06-01"


class AnthropicClient:
    """Anthropic's async client, as `SdkEngine` uses it."""

    raises: tuple[type[Exception], ...] = (anthropic.AnthropicError, httpx2.HTTPError)

    def __init__(self, settings: Anthropic, model: Model, notes: Notes = SILENT) -> None:
        self._notes = notes
        self._model = model.name
        self._in_pieces = settings.stream
        self._address = settings.base_url or _ADDRESS
        headers = settings.further_headers()
        if settings.legacy_sampling:
            headers = {"anthropic-version": _LEGACY_VERSION, **headers}
        self._client = anthropic.AsyncAnthropic(
            api_key=settings.api_key(),
            base_url=self._address,
            default_headers=headers,
            max_retries=0,
            timeout=httpx2.Timeout(None, connect=CONNECT_SECONDS),
            http_client=anthropic.DefaultAsyncHttpxClient(
                limits=httpx2.Limits(max_connections=None),
                follow_redirects=False,  # the key would go along
                **limited_bodies(httpx2.AsyncByteStream, settings.max_response_bytes),
            ),
        )
        send_only(self._client, headers)

    async def ask(self, request: Request) -> Response:
        if self._in_pieces:
            return await response_of(self.stream(request))
        answer = await self._client.messages.with_raw_response.create(**fields_of(request, self._model))
        return read_message(answer.http_response.content, Reading(request.sampling, self._notes))

    async def stream(self, request: Request) -> AsyncGenerator[Chunk | Response]:
        course = Course(self._address, 1, self._notes)
        pieces = Pieces(course, Reading(request.sampling, self._notes))
        async with aclosing(self._events(request)) as found:
            async for event in found:
                yield pieces.add(event)
        yield msgspec.structs.replace(pieces.response(), timing=course.timing())

    async def _events(self, request: Request) -> AsyncGenerator[bytes]:
        """Yield the data of each event as it came: the SDK's types know fewer of them."""
        fields = fields_of(request, self._model)
        create = self._client.messages.with_streaming_response.create
        async with (
            create(**fields, stream=True) as answer,
            aclosing(events(answer.iter_bytes())) as found,
        ):
            async for data in found:
                yield data

    def failure(self, error: Exception) -> AskError:
        if isinstance(error, anthropic.APIStatusError):
            answer = error.response
            asked = str(answer.request.url)
            return status_failure(answer.status_code, answer.content, answer.headers, asked, self._address)
        return transport_failure(error, self._address)

    async def close(self) -> None:
        await self._client.close()
