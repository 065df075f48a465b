"""Asks Google through its SDK; imported only when it is used."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, contextmanager
from typing import cast

import httpx2
import msgspec
import pydantic
from google import genai
from google.genai import errors, types

from runner.engines.chunks import Chunk, response_of
from runner.engines.course import Course
from runner.engines.google import Google
from runner.engines.google_body import config_of, contents_of
from runner.engines.google_pieces import Pieces
from runner.engines.google_wire import read_answer, read_embeddings
from runner.engines.lenient import Reading
from runner.engines.notes import SILENT, Notes
from runner.engines.provider_errors import one_line
from runner.engines.provider_wire import invalid, malformed
from runner.engines.sdk import status_failure, transport_failure
from runner.engines.sdk_http import BoundedHttp, taken
from runner.engines.sse import events
from runner.engines.task_answers import embedded
from runner.errors import AskError, BadRequestError
from runner.spec import Model
from runner.values import Request, Response

_ADDRESS = "https://generativelanguage.googleapis.com"


@contextmanager
def _unread_keys() -> Iterator[None]:
    """Keep the SDK from saying which of two variables it uses: it is given the key, and uses neither."""
    logger = logging.getLogger("google_genai._api_client")

    def other(record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith("Both GOOGLE_API_KEY and GEMINI_API_KEY")

    logger.addFilter(other)
    try:
        yield
    finally:
        logger.removeFilter(other)


class GoogleClient:
    """Google's async client, as `SdkEngine` uses it."""

    raises: tuple[type[Exception], ...] = (
        errors.APIError,
        errors.UnknownApiResponseError,
        httpx2.HTTPError,
        json.JSONDecodeError,
        pydantic.ValidationError,
    )

    def __init__(self, settings: Google, model: Model, notes: Notes = SILENT) -> None:
        self._notes = notes
        self._model = model.name
        self._in_pieces = settings.stream
        self._address = settings.base_url or _ADDRESS
        # A client of our own, since the SDK's asks twice in silence where aiohttp is installed.
        self._http = BoundedHttp(settings.max_response_bytes)
        options = types.HttpOptions(
            base_url=self._address,
            api_version=settings.api_version,
            headers=settings.further_headers(),
            httpx_async_client=self._http,
        )
        with _unread_keys():
            self._sdk = genai.Client(vertexai=False, api_key=settings.api_key(), http_options=options)

    async def ask(self, request: Request) -> Response:
        if self._in_pieces:
            return await response_of(self.stream(request))
        sending = self._sdk.aio.models.generate_content(
            model=self._model,
            contents=cast("types.ContentListUnion", contents_of(request)),
            config=types.GenerateContentConfig(**config_of(request)),
        )
        async with taken(sending) as answer:
            body = await answer.aread()
        return read_answer(body, _asked(request), Reading(request.sampling, self._notes))

    async def embed(self, requests: Sequence[Request]) -> list[Response]:
        # As contents of their own: texts side by side may count as the parts of one.
        contents = [types.Content(parts=[types.Part(text=str(request.input))]) for request in requests]
        options = types.HttpOptions(extra_body=requests[0].sampling.get("passthrough"))
        config = types.EmbedContentConfig(http_options=options)
        sending = self._sdk.aio.models.embed_content(
            model=self._model, contents=cast("types.ContentListUnion", contents), config=config
        )
        async with taken(sending) as answer:
            body = await answer.aread()
        vectors = read_embeddings(body, Reading(requests[0].sampling, self._notes))
        return embedded(vectors, None, requests)

    async def stream(self, request: Request) -> AsyncGenerator[Chunk | Response]:
        course = Course(self._address, _asked(request), self._notes)
        pieces = Pieces(course, Reading(request.sampling, self._notes))
        async with aclosing(self._events(request)) as found:
            async for event in found:
                for chunk in pieces.add(event):
                    yield chunk
        yield msgspec.structs.replace(pieces.response(), timing=course.timing())

    async def _events(self, request: Request) -> AsyncGenerator[bytes]:
        config = types.GenerateContentConfig(**config_of(request))
        made = await self._sdk.aio.models.generate_content_stream(
            model=self._model, contents=cast("types.ContentListUnion", contents_of(request)), config=config
        )
        # The request is sent when the SDK is asked for the first event.
        async with (
            aclosing(cast("AsyncGenerator[types.GenerateContentResponse]", made)) as unread,
            taken(anext(unread)) as answer,
            aclosing(events(answer.aiter_bytes())) as found,
        ):
            async for data in found:
                yield data

    def failure(self, error: Exception) -> AskError:
        if isinstance(error, errors.APIError):
            answer = error.response
            if isinstance(answer, httpx2.Response):
                asked = str(answer.request.url)
                return status_failure(error.code, answer.content, answer.headers, asked, self._address)
            return status_failure(error.code or 500, json.dumps(error.details).encode(), {})
        if isinstance(error, errors.UnknownApiResponseError | json.JSONDecodeError):
            return malformed(one_line(str(error)))
        if isinstance(error, pydantic.ValidationError):
            return BadRequestError(f"the SDK refuses the request: {invalid(error)}")
        return transport_failure(error, self._address)

    async def close(self) -> None:
        await self._http.aclose()
        await self._sdk.aio.aclose()
        self._sdk.close()


def _asked(request: Request) -> int:
    return request.sampling.get("n") or 1
