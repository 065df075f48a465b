"""Asks through an SDK whose API has OpenAI's form: that of OpenAI itself, and Together's."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from runner.engines.chunks import Chunk
from runner.engines.course import Course
from runner.engines.lenient import Reading
from runner.engines.notes import SILENT, Notes
from runner.engines.openai_stream import chunked, put_together
from runner.engines.openai_wire import read_chat, read_text
from runner.engines.sdk import status_failure, transport_failure
from runner.engines.sse import events
from runner.engines.task_answers import read_vectors
from runner.errors import AskError
from runner.values import Request, Response, Timing


@dataclass(frozen=True, slots=True)
class OpenAIForm:
    """A client of an SDK in OpenAI's form, as `SdkEngine` uses it.

    The SDK sends, and hands over the answer as it came: what it would make of it lacks what its types
    don't know, such as reasoning text, and takes malformed answers for good ones.

    Attributes:
        engine: name of the engine kind, for the responses.
        sdk: the SDK's async client.
        body: makes the body of a request.
        status_error: what the SDK raises for an answer other than 2xx.
        raises: that, and all else the SDK and its transport raise.
        in_pieces: have answers come in pieces.
        pieces: further arguments that these are asked for with.
        notes: where odd fields of answers are noted.
    """

    engine: str
    sdk: Any
    body: Callable[[Request], dict[str, Any]]
    status_error: type[Exception]
    raises: tuple[type[Exception], ...]
    in_pieces: bool = False
    pieces: Mapping[str, Any] = field(default_factory=dict)
    notes: Notes = SILENT

    async def ask(self, request: Request) -> Response:
        body, timing = await (self._in_pieces(request) if self.in_pieces else self._at_once(request))
        return self._read(request, body, timing)

    def _read(self, request: Request, body: bytes, timing: Timing) -> Response:
        read = read_chat if request.task == "chat" else read_text
        return read(body, self.engine, timing, Reading(request.sampling, self.notes))

    async def embed(self, requests: Sequence[Request]) -> list[Response]:
        first = requests[0]
        answer = await self.sdk.embeddings.with_raw_response.create(
            model=self.body(first)["model"],
            input=[request.input for request in requests],
            extra_body={"encoding_format": "base64", **(first.sampling.get("passthrough") or {})},
        )
        body = answer.http_response.content
        return read_vectors(body, requests, Reading(first.sampling, self.notes))

    async def stream(self, request: Request) -> AsyncGenerator[Chunk | Response]:
        events = self._events(request, self.pieces)
        async with aclosing(chunked(events, self._course(request), request.task)) as found:
            async for item in found:
                yield item if isinstance(item, Chunk) else self._read(request, *item)

    async def _at_once(self, request: Request) -> tuple[bytes, Timing]:
        answer = await self._resource(request).with_raw_response.create(**self._arguments(request))
        return answer.http_response.content, Timing()

    async def _in_pieces(self, request: Request) -> tuple[bytes, Timing]:
        return await put_together(self._events(request, self.pieces), self._course(request))

    def _course(self, request: Request) -> Course:
        return Course(str(self.sdk.base_url), request.sampling.get("n") or 1, self.notes)

    async def _events(self, request: Request, further: Mapping[str, Any]) -> AsyncGenerator[bytes]:
        create = self._resource(request).with_streaming_response.create
        async with (
            create(**self._arguments(request), stream=True, **further) as answer,
            aclosing(events(answer.iter_bytes())) as found,
        ):
            async for data in found:
                yield data

    def failure(self, error: Exception) -> AskError:
        if isinstance(error, self.status_error):
            answer: Any = error.response  # type: ignore[attr-defined] # each SDK's own type has it
            base = str(self.sdk.base_url)
            asked = str(answer.request.url)
            return status_failure(answer.status_code, answer.content, answer.headers, asked, base)
        return transport_failure(error, str(self.sdk.base_url))

    async def close(self) -> None:
        await self.sdk.close()

    def _resource(self, request: Request) -> Any:
        return self.sdk.chat.completions if request.task == "chat" else self.sdk.completions

    def _arguments(self, request: Request) -> dict[str, Any]:
        """Return the arguments of `create`; all but those it insists on go into the body as they are."""
        body = self.body(request)
        named = ("model", "messages") if request.task == "chat" else ("model", "prompt")
        return {**{name: body.pop(name) for name in named}, "extra_body": body}
