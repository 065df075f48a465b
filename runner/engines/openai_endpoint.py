"""Where an OpenAI-compatible server is, and what requests are sent with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol, Self

from runner.engines.http import Headers, HttpClient, HttpResponse
from runner.engines.notes import SILENT, Notes
from runner.engines.task_wire import Wire
from runner.secrets import Secrets
from runner.values import Json, Request


class Head(Protocol):
    """What an answer begins with."""

    @property
    def status(self) -> int: ...

    def header(self, name: str) -> str | None: ...


class Streamed(Head, Protocol):
    """An answer that is read while it comes."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...


class Client(Protocol):
    """What asks: `HttpClient`, or what has its face. Entered in the event loop that uses it."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Headers,
        body: bytes,
        timeout: float,  # noqa: ASYNC109
    ) -> HttpResponse: ...

    def stream(
        self, method: str, url: str, *, headers: Headers, body: bytes, timeout: float
    ) -> AbstractAsyncContextManager[Streamed]: ...


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where an OpenAI-compatible server is, and how it is asked.

    Attributes:
        engine: name of the engine kind, for the responses.
        base_url: up to and without /chat/completions.
        body: makes the body of a request.
        headers: lines beside the content type, such as the key's.
        timeout: seconds that one request may take.
        secrets: what must not stand in any message.
        stream: ask for answers in pieces, for the sake of their times.
        model: the model's name there, for tasks that are answered with numbers.
        further: fields of each of those, such as those that ask for an adapter.
        wires: how each of those is asked.
        batch_size: most inputs of task embed in one request.
        client: makes what asks.
        notes: where odd fields of answers are noted.
        max_tokens_field: what a request calls max_tokens, where a setting decides that.
    """

    engine: str
    base_url: str
    body: Callable[[Request], dict[str, Any]]
    headers: Sequence[str] = ()
    timeout: float = 600.0
    secrets: Secrets = field(default_factory=Secrets)
    stream: bool = False
    model: str = ""
    further: Mapping[str, Json] = field(default_factory=dict)
    wires: Mapping[str, Wire] = field(default_factory=dict)
    batch_size: int = 1
    client: Callable[[], Client] = HttpClient
    notes: Notes = SILENT
    max_tokens_field: str | None = None
