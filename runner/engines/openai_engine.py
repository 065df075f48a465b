"""Asks a server that speaks the OpenAI API."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Any, Self

import msgspec

from runner.engines.asked import require_asked
from runner.engines.http import Headers, HttpClient, HttpError, HttpResponse, HttpStream, HttpTimeout
from runner.engines.openai_compatible import OpenAICompatible, check
from runner.engines.openai_wire import read_chat, read_delta, read_text
from runner.engines.provider_errors import answered_error, one_line, provider_error
from runner.errors import (
    AskError,
    ConnectionFailedError,
    EngineStartError,
    MalformedResponseError,
    RequestTimeoutError,
)
from runner.secrets import Secrets
from runner.spec import EngineSettings, Model
from runner.values import Request, Response

NAME = "openai_compatible"
_OK = 200


class OpenAIEngine:
    """An engine over HTTP; entering opens no connection, the first request does."""

    def __init__(self, settings: EngineSettings, model: Model) -> None:
        assert isinstance(settings, OpenAICompatible)
        self._settings = settings
        self._model = model
        self._urls = {
            "chat": f"{settings.base_url}/chat/completions",
            "complete": f"{settings.base_url}/completions",
        }
        self._encoder = msgspec.json.Encoder()
        self._headers = Headers(())
        self._secrets = Secrets()
        self._client: HttpClient | None = None
        self._version: str | None = None

    @property
    def version(self) -> str | None:
        """What the server calls itself in its answers, once it has."""
        return self._version

    async def __aenter__(self) -> Self:
        if faults := check(self._settings, self._model):
            raise EngineStartError("; ".join(str(fault) for fault in faults))
        self._headers = _headers(self._settings)
        self._secrets = Secrets.of(self._settings.secret_names())
        self._client = await HttpClient().__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client is not None:
            await self._client.__aexit__(kind, error, trace)
            self._client = None

    async def generate(self, request: Request) -> Response:
        assert self._client is not None, "the engine is not started"
        body = self._encoder.encode(self._body(request))
        start = time.perf_counter()
        try:
            answer = await self._client.request(
                "POST",
                self._urls[request.task],
                headers=self._headers,
                body=body,
                timeout=self._settings.timeout,
            )
            seconds = time.perf_counter() - start
            response = _read(request, answer, seconds)
        except HttpError as error:
            raise self._failure(error) from error
        except AskError as error:
            error.message = self._secrets.mask(error.message)
            raise
        self._version = response.engine_version
        return response

    async def stream(self, request: Request) -> AsyncIterator[str]:
        """Yield the answer's text as it comes; other fields are not read."""
        assert self._client is not None, "the engine is not started"
        body = self._encoder.encode(self._body(request) | {"stream": True})
        stream = self._client.stream(
            "POST",
            self._urls[request.task],
            headers=self._headers,
            body=body,
            timeout=self._settings.timeout,
        )
        try:
            async with stream as answer:
                async for data in _events(answer):
                    if error := answered_error(data):
                        raise error
                    if text := read_delta(data):
                        yield text
        except HttpError as error:
            raise self._failure(error) from error
        except AskError as error:
            error.message = self._secrets.mask(error.message)
            raise

    def _body(self, request: Request) -> dict[str, Any]:
        if request.task == "chat":
            return {"model": self._model.name, "messages": request.input, **request.sampling}
        return {"model": self._model.name, "prompt": request.input, **_text_sampling(request.sampling)}

    def _failure(self, error: HttpError) -> AskError:
        message = self._secrets.mask(one_line(str(error)))
        if isinstance(error, HttpTimeout):
            return RequestTimeoutError(message)
        return ConnectionFailedError(message)


def _headers(settings: OpenAICompatible) -> Headers:
    lines = ["Content-Type: application/json"]
    if settings.api_key_env:
        lines.append(f"Authorization: Bearer {os.environ[settings.api_key_env]}")
    lines += [f"{name}: {os.environ[variable]}" for name, variable in settings.headers_env.items()]
    return Headers(lines)


def _text_sampling(sampling: Mapping[str, Any]) -> dict[str, Any]:
    """Completions take one integer: how many alternatives to show beside the chosen token."""
    sent = {name: value for name, value in sampling.items() if name not in {"logprobs", "top_logprobs"}}
    if sampling.get("logprobs"):
        sent["logprobs"] = sampling.get("top_logprobs") or 0
    return sent


def _read(request: Request, answer: HttpResponse, seconds: float) -> Response:
    if answer.status != _OK:
        raise _refusal(answer, answer.body)
    read = read_chat if request.task == "chat" else read_text
    try:
        response = read(answer.body, NAME, seconds)
    except MalformedResponseError as error:
        raise answered_error(answer.body) or error from None
    require_asked(request, response)
    return response


def _refusal(answer: HttpResponse | HttpStream, body: bytes) -> AskError:
    return provider_error(answer.status, body, answer.header("retry-after"), answer.header("retry-after-ms"))


async def _events(answer: HttpStream) -> AsyncIterator[bytes]:
    """Yield the data of each server-sent event, up to the one that says it is done."""
    if answer.status != _OK:
        raise _refusal(answer, b"".join([chunk async for chunk in answer]))
    rest = b""
    async for chunk in answer:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            name, _, data = line.partition(b":")
            if name != b"data":
                continue
            if data.strip() == b"[DONE]":
                return
            yield data.strip()
