"""Asks Google through its SDK; imported only when it is used."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, aclosing
from contextvars import ContextVar
from typing import Any, cast

import httpx2
import msgspec
import pydantic
from google import genai
from google.genai import errors, types

from runner.engines.asked import require_served
from runner.engines.course import Course
from runner.engines.google import Google
from runner.engines.google_body import config_of, contents_of
from runner.engines.google_pieces import Pieces
from runner.engines.google_wire import asked_delay, read_answer
from runner.engines.provider_errors import one_line
from runner.engines.provider_wire import invalid, malformed
from runner.engines.sdk import status_failure, transport_failure
from runner.engines.sdk_http import BoundedHttp
from runner.engines.task_answers import embedded
from runner.errors import AskError, BadRequestError, ConnectionFailedError
from runner.spec import Model
from runner.values import Request, Response

_ADDRESS = "https://generativelanguage.googleapis.com"

_opened: ContextVar[AsyncExitStack | None] = ContextVar("opened", default=None)
"""Closes what the SDK opens for a stream: it leaves an unfinished one to the garbage collector."""


class _Http(BoundedHttp):
    """The HTTP client under the SDK: has a response closed with the stream that it belongs to."""

    async def send(self, request: httpx2.Request, **how: Any) -> httpx2.Response:
        response = await super().send(request, **how)
        if (opened := _opened.get()) is not None:
            opened.push_async_callback(response.aclose)
        return response


class GoogleClient:
    """Google's async client, as `SdkEngine` uses it."""

    raises: tuple[type[Exception], ...] = (
        errors.APIError,
        errors.UnknownApiResponseError,
        httpx2.HTTPError,
        json.JSONDecodeError,
        pydantic.ValidationError,
    )

    def __init__(self, settings: Google, model: Model) -> None:
        self._model = model.name
        self._in_pieces = settings.stream
        self._address = settings.base_url or _ADDRESS
        # A client of our own, since the SDK's asks twice in silence where aiohttp is installed.
        self._http = _Http(settings.max_response_bytes)
        options = types.HttpOptions(
            base_url=self._address,
            api_version=settings.api_version,
            headers=settings.further_headers(),
            httpx_async_client=self._http,
        )
        self._sdk = genai.Client(vertexai=False, api_key=settings.api_key(), http_options=options)

    async def ask(self, request: Request) -> Response:
        if self._in_pieces:
            return await self._put_together(request)
        answer = await self._sdk.aio.models.generate_content(
            model=self._model,
            contents=cast("types.ContentListUnion", contents_of(request)),
            config=types.GenerateContentConfig(**config_of(request), should_return_http_response=True),
        )
        told = answer.sdk_http_response
        body = (told.body or "") if told else ""
        return read_answer(body.encode(), request.sampling.get("n") or 1)

    async def embed(self, requests: Sequence[Request]) -> list[Response]:
        # As contents of their own: texts side by side may count as the parts of one.
        contents = [types.Content(parts=[types.Part(text=str(request.input))]) for request in requests]
        options = types.HttpOptions(extra_body=requests[0].sampling.get("passthrough"))
        config = types.EmbedContentConfig(http_options=options)
        try:
            answer = await self._sdk.aio.models.embed_content(
                model=self._model, contents=cast("types.ContentListUnion", contents), config=config
            )
        except pydantic.ValidationError as error:
            raise malformed(invalid(error)) from None
        vectors = [one.values or () for one in answer.embeddings or ()]
        return embedded(vectors, 0, requests)

    async def stream(self, request: Request) -> AsyncGenerator[str]:
        ended = False
        async with aclosing(self._events(request)) as events:
            async for event in events:
                yield _text(event)
                ended = ended or _is_last(event)
        if not ended:
            raise ConnectionFailedError(f"{self._address}: the stream ended before the answer did")

    async def _put_together(self, request: Request) -> Response:
        course = Course(self._address, request.sampling.get("n") or 1)
        pieces = Pieces(course)
        async with aclosing(self._events(request)) as events:
            async for event in events:
                pieces.add(event)
        return msgspec.structs.replace(pieces.response(), timing=course.timing())

    async def _events(self, request: Request) -> AsyncGenerator[types.GenerateContentResponse]:
        config = types.GenerateContentConfig(**config_of(request))
        events = await self._sdk.aio.models.generate_content_stream(
            model=self._model, contents=cast("types.ContentListUnion", contents_of(request)), config=config
        )
        async with (
            AsyncExitStack() as opened,
            aclosing(cast("AsyncGenerator[types.GenerateContentResponse]", events)) as found,
        ):
            try:
                while (event := await _next(found, opened)) is not None:
                    yield event
            except pydantic.ValidationError as error:
                raise malformed(invalid(error)) from None

    def failure(self, error: Exception) -> AskError:
        if isinstance(error, errors.APIError):
            answer = error.response
            if isinstance(answer, httpx2.Response):
                return _refusal(error.code, answer.content, answer.headers)
            # An event of a stream that had begun well.
            return _refusal(error.code or 500, json.dumps(error.details).encode(), httpx2.Headers())
        if isinstance(error, errors.UnknownApiResponseError | json.JSONDecodeError):
            return malformed(one_line(str(error)))
        if isinstance(error, pydantic.ValidationError):
            return BadRequestError(f"the SDK refuses the request: {invalid(error)}")
        return transport_failure(error, self._address)

    async def close(self) -> None:
        await self._http.aclose()
        await self._sdk.aio.aclose()
        self._sdk.close()


def _refusal(status: int, body: bytes, headers: httpx2.Headers) -> AskError:
    if "retry-after" not in headers and (delay := asked_delay(body)) is not None:
        headers = httpx2.Headers({"retry-after": delay})
    return status_failure(status, body, headers)


async def _next(
    events: AsyncGenerator[types.GenerateContentResponse], opened: AsyncExitStack
) -> types.GenerateContentResponse | None:
    """Return the next event, or None; the request is sent for the first, here."""
    token = _opened.set(opened)
    try:
        return await anext(events, None)
    finally:
        _opened.reset(token)


def _text(event: types.GenerateContentResponse) -> str:
    candidate = event.candidates[0] if event.candidates else None
    require_served(candidate.finish_reason if candidate else None)
    parts = (candidate.content.parts if candidate and candidate.content else None) or []
    return "".join(part.text or "" for part in parts if not part.thought)


def _is_last(event: types.GenerateContentResponse) -> bool:
    blocked = event.prompt_feedback is not None and event.prompt_feedback.block_reason is not None
    return blocked or any(candidate.finish_reason for candidate in event.candidates or ())
