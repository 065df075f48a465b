"""Asks a server that speaks the OpenAI API."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncGenerator, Coroutine, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

import msgspec

from runner.engines.asked import ASKED, require_asked
from runner.engines.batching import Batcher
from runner.engines.chunks import Chunk
from runner.engines.constraints import with_values
from runner.engines.course import Course
from runner.engines.cut_calls import without_cut_calls
from runner.engines.http import Headers, HttpError, HttpResponse, HttpTimeout, HttpTooLarge
from runner.engines.in_band import answered_error
from runner.engines.lenient import Reading
from runner.engines.loglikelihood import loglikelihood
from runner.engines.openai_endpoint import Client, Endpoint
from runner.engines.openai_refusals import is_good, refusal
from runner.engines.openai_stream import chunked, put_together
from runner.engines.openai_wire import read_chat, read_text
from runner.engines.provider_errors import report
from runner.engines.sse import events
from runner.engines.stops import without_stops
from runner.errors import (
    AskError,
    BadRequestError,
    ConnectionFailedError,
    EngineError,
    MalformedResponseError,
    RequestTimeoutError,
    ResponseTooLargeError,
)
from runner.spec.sampling import CONSTRAINTS
from runner.values import VALUE_TASKS, Json, Request, Response, Timing

_REMEMBERED = 1024
"""Samplings whose readings are kept; rows with samplings of their own don't fill the memory."""

_LOOKED_AT = frozenset({*ASKED, *CONSTRAINTS, "stop", "tools"})
"""Sampling values for whose sake an answer is looked at once more."""

_LOOK_SECONDS = 10.0
_THERE = frozenset({400, 401, 403, 405, 415, 422})
"""What a GET of a path that takes a POST is answered."""

_IN_PIECES = {"stream": True, "stream_options": {"include_usage": True}}
_ROUTES = {"chat": "/chat/completions", "complete": "/completions"}


class OpenAIEngine:
    """An engine over HTTP; entering opens no connection, the first request does."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._urls = {task: f"{endpoint.base_url}{route}" for task, route in _ROUTES.items()}
        self._encoder = msgspec.json.Encoder()
        self._headers = Headers(["Content-Type: application/json", *endpoint.headers])
        self._client: Client | None = None
        self._version: str | None = None
        self._based = False
        """Whether it is known that the base lacks no /v1."""
        self._readings: dict[int, tuple[Reading, bool]] = {}
        """How answers to requests of each sampling are read, by its id; requests share theirs."""
        self._batcher = Batcher(self._send, endpoint.batch_size)

    @property
    def version(self) -> str | None:
        """What the server calls itself in its answers, once it has."""
        return self._version

    async def __aenter__(self) -> Self:
        self._client = await self._endpoint.client().__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._batcher.close()
        if self._client is not None:
            await self._client.__aexit__(kind, error, trace)
            self._client = None

    async def generate(self, request: Request) -> Response:
        if request.task in VALUE_TASKS:
            return await self._valued(request)
        endpoint = self._endpoint
        # Not inside `with self._told()`: entering it for every request costs as much as reading an answer.
        try:
            if endpoint.stream:
                body, timing = await self._in_pieces(request)
            else:
                url, start = self._urls[request.task], time.perf_counter()
                answer = await self._posting(url, endpoint.body(request))
                body, timing = self._taken(url, answer), Timing(time.perf_counter() - start)
            response = self._read(request, body, timing)
        except (HttpError, AskError) as error:
            with self._told():
                if isinstance(error, BadRequestError) and error.status == HTTPStatus.NOT_FOUND:
                    await self._require_base(self._urls[request.task])
                raise
        self._version = response.engine_version
        return response

    async def stream(self, request: Request) -> AsyncGenerator[Chunk | Response]:
        """Yield chunks as they come, and the response."""
        with self._told():
            events = self._events(request, _IN_PIECES)
            async with aclosing(chunked(events, self._course(request), request.task)) as found:
                async for item in found:
                    yield item if isinstance(item, Chunk) else self._read(request, *item)

    async def _require_base(self, url: str) -> None:
        """Make sure, once a path was not found, that it isn't the base's /v1 which is missing.

        Raises:
            EngineError: with it, the path is there.
        """
        base = self._endpoint.base_url
        if self._based or re.search(r"/v\d", base):
            return
        for there in (url.replace(base, f"{base}/v1", 1), f"{base}/v1/models"):
            if await self._is_there(there):
                told = f"{url} does not exist, but {base}/v1 does: set engine.base_url={base}/v1"
                raise EngineError(told, int(HTTPStatus.NOT_FOUND))
        self._based = True

    async def _is_there(self, url: str) -> bool:
        assert self._client is not None, "the engine is not started"
        try:
            answer = await self._client.request(
                "GET", url, headers=self._headers, body=b"", timeout=_LOOK_SECONDS
            )
        except HttpError:
            return False
        return is_good(answer.status) or answer.status in _THERE

    def _posting(self, url: str, fields: dict[str, Any]) -> Coroutine[Any, Any, HttpResponse]:
        """Return what sends a body, for the caller to await: one coroutine less than to await it here."""
        assert self._client is not None, "the engine is not started"
        body = self._encoder.encode(fields)
        return self._client.request(
            "POST", url, headers=self._headers, body=body, timeout=self._endpoint.timeout
        )

    def _taken(self, url: str, answer: HttpResponse) -> bytes:
        """Return the body of an answer, or raise the error that it is."""
        if not is_good(answer.status):
            raise refusal(self._endpoint, url, answer, answer.body)
        return answer.body

    async def _valued(self, request: Request) -> Response:
        """Answer a task that is answered with numbers."""
        if request.task == "loglikelihood" and request.task not in self._endpoint.wires:
            return await loglikelihood(request, self.generate)
        if self._endpoint.wires[request.task].batched:
            return await self._batcher.ask(request)
        return (await self._send([request]))[0]

    async def _send(self, requests: Sequence[Request]) -> list[Response]:
        """Ask for several inputs of one task at once."""
        endpoint = self._endpoint
        wire = endpoint.wires[requests[0].task]
        with self._told():
            fields = {"model": endpoint.model, **endpoint.further, **wire.body(requests)}
            url, start = wire.url(endpoint.base_url), time.perf_counter()
            body = self._taken(url, await self._posting(url, fields))
            timing = Timing(time.perf_counter() - start)
            try:
                responses = wire.read(body, requests, Reading(requests[0].sampling, endpoint.notes))
            except MalformedResponseError as error:
                raise answered_error(body) or error from None
        return [msgspec.structs.replace(one, timing=timing, engine=endpoint.engine) for one in responses]

    async def _in_pieces(self, request: Request) -> tuple[bytes, Timing]:
        return await put_together(self._events(request, _IN_PIECES), self._course(request))

    def _course(self, request: Request) -> Course:
        return Course(self._urls[request.task], request.sampling.get("n") or 1, self._endpoint.notes)

    async def _events(self, request: Request, further: dict[str, Any]) -> AsyncGenerator[bytes]:
        """Yield the data of each event of a streamed answer."""
        assert self._client is not None, "the engine is not started"
        url = self._urls[request.task]
        stream = self._client.stream(
            "POST",
            url,
            headers=self._headers,
            body=self._encoder.encode(self._endpoint.body(request) | further),
            timeout=self._endpoint.timeout,
        )
        async with stream as answer:
            if not is_good(answer.status):
                raise refusal(self._endpoint, url, answer, b"".join([chunk async for chunk in answer]))
            async with aclosing(events(answer)) as found:
                async for data in found:
                    yield data

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn transport errors into the runner's, and keep secrets out of all of them."""
        try:
            yield
        except HttpError as error:
            kinds = {HttpTimeout: RequestTimeoutError, HttpTooLarge: ResponseTooLargeError}
            failure = kinds.get(type(error), ConnectionFailedError)(str(error))
            report(failure, self._endpoint.secrets)
            raise failure from error
        except AskError as error:
            report(error, self._endpoint.secrets)
            raise

    def _read(self, request: Request, body: bytes, timing: Timing) -> Response:
        read = read_chat if request.task == "chat" else read_text
        reading, plain = self._reading(request.sampling)
        response = read(body, self._endpoint.engine, timing, reading)
        if plain and len(response.choices) == 1 and response.choices[0].finish_reason == "stop":
            return response
        require_asked(request, response)
        if "tools" in request.sampling:
            response = without_cut_calls(request, response)
        if "stop" in request.sampling:
            response = without_stops(request, response)
        return with_values(request, response)

    def _reading(self, sampling: Mapping[str, Json]) -> tuple[Reading, bool]:
        """Return how answers are read, and whether nothing is asked of them beside a text."""
        known = self._readings.get(id(sampling))
        if known is not None and known[0].sampling is sampling:
            return known
        if len(self._readings) >= _REMEMBERED:
            self._readings.clear()
        made = Reading(sampling, self._endpoint.notes), _LOOKED_AT.isdisjoint(sampling)
        self._readings[id(sampling)] = made
        return made
