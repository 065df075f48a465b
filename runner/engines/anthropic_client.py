"""Asks Anthropic through its SDK; imported only when it is used."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator

import anthropic
import httpx2
import msgspec

from runner.engines.anthropic import Anthropic
from runner.engines.anthropic_body import fields_of
from runner.engines.anthropic_pieces import Pieces
from runner.engines.anthropic_wire import NAMED_STATUS, read_message
from runner.engines.course import Course
from runner.engines.sdk import CONNECT_SECONDS, send_only, status_failure, transport_failure
from runner.engines.sdk_bodies import limited_bodies
from runner.errors import AskError, ConnectionFailedError, MalformedResponseError
from runner.spec import Model
from runner.values import Request, Response

_ADDRESS = "https://api.anthropic.com"
_FAILED = 400
_LEGACY_VERSION = "2023-06-01"


class AnthropicClient:
    """Anthropic's async client, as `SdkEngine` uses it."""

    raises: tuple[type[Exception], ...] = (
        anthropic.AnthropicError,
        httpx2.HTTPError,
        json.JSONDecodeError,
    )

    def __init__(self, settings: Anthropic, model: Model) -> None:
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
                **limited_bodies(httpx2.AsyncByteStream, settings.max_response_bytes),
            ),
        )
        send_only(self._client, headers)

    async def ask(self, request: Request) -> Response:
        if self._in_pieces:
            return await self._put_together(request)
        answer = await self._client.messages.with_raw_response.create(**fields_of(request, self._model))
        return read_message(answer.http_response.content)

    async def _put_together(self, request: Request) -> Response:
        course = Course(self._address, 1)
        pieces = Pieces(course)
        fields = fields_of(request, self._model)
        async with await self._client.messages.create(**fields, stream=True) as events:
            async for event in events:
                pieces.add(event.to_dict(warnings=False))
        course.require_end()
        return msgspec.structs.replace(pieces.response(), timing=course.timing())

    async def stream(self, request: Request) -> AsyncGenerator[str]:
        ended = False
        fields = fields_of(request, self._model)
        async with await self._client.messages.create(**fields, stream=True) as events:
            async for event in events:
                if event.type == "content_block_delta" and event.delta.type == "text_delta":
                    yield event.delta.text
                ended = ended or event.type == "message_stop"
        if not ended:
            raise ConnectionFailedError(f"{self._address}: the stream ended before the answer did")

    def failure(self, error: Exception) -> AskError:
        if isinstance(error, anthropic.APIStatusError):
            status = error.status_code
            if status >= _FAILED:
                return status_failure(status, error.response.content, error.response.headers)
            # An event of a stream that had begun well: what went wrong has a name, but no status.
            told = error.body if isinstance(error.body, dict) else {"message": str(error.body)}
            return status_failure(NAMED_STATUS.get(str(error.type), 500), json.dumps(told).encode(), {})
        if isinstance(error, json.JSONDecodeError):
            return MalformedResponseError(f"an event of the stream is no JSON: {error}")
        return transport_failure(error, self._address)

    async def close(self) -> None:
        await self._client.close()
