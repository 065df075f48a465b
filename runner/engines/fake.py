"""Answers from a template, with delays and errors to order: for trying pipelines without a model."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncGenerator, Mapping
from types import MappingProxyType, TracebackType
from typing import Any, Literal, Self

from pydantic import Field

from runner.engines.asked import require_asked
from runner.engines.base import EngineContext, EngineKind
from runner.engines.capabilities import Capabilities, parameters
from runner.engines.chunks import Chunk
from runner.engines.course import Course
from runner.engines.stops import StoppedText, stops_of
from runner.errors import (
    AskError,
    AuthenticationError,
    BadRequestError,
    ConnectionFailedError,
    ContextLengthError,
    Fault,
    RateLimitError,
    RequestTimeoutError,
    RowError,
    ServerError,
)
from runner.render import TemplateError, compile_template, unknown_names
from runner.spec import EngineSettings, Model, Topology
from runner.values import Choice, Request, Response, TokenLogprob, Usage, request_key

NAMES = ("messages", "prompt", "last", "sample")
"""What the template may use; `messages` is empty for task complete, `prompt` for task chat."""


_LONGEST = 1_000_000
"""Seconds."""


class Fake(EngineSettings):
    """No model at all: an answer is what the template makes of the request.

    `max_tokens` (words), `stop`, `n` and `logprobs` are honoured; other sampling values are taken and
    change nothing, as a template draws nothing at random.
    """

    kind: Literal["fake"] = "fake"
    """Answers from a template, for trying pipelines."""
    template: str = "{{ last }}"
    """Jinja2 text of the answer; it sees messages, prompt, last (text of the last message) and sample."""
    latency: float = Field(0.0, ge=0, le=_LONGEST)
    """Seconds that every answer takes."""
    latency_jitter: float = Field(0.0, ge=0, le=_LONGEST)
    """Up to so many seconds more, drawn for each attempt."""
    error_rate: float = Field(0.0, ge=0, le=1)
    """Share of attempts that fail; which ones is drawn from the request, the attempt and `seed`."""
    error: Literal[
        "rate_limit",
        "server_error",
        "timeout",
        "connection",
        "bad_request",
        "context_length",
        "authentication",
    ] = "server_error"
    """How they fail."""
    seed: int = Field(0, ge=0)
    """Draws other errors and delays."""
    stream: bool = False
    """Record the time to the first word and between them, all of which come at the end of the delay."""
    start_seconds: float = Field(0.0, ge=0, le=_LONGEST)
    """Seconds that starting takes, as if weights were loaded."""
    gpus: int = Field(0, ge=0)
    """GPUs that it claims for each device of the topology, without using them."""


_FAILURES: Mapping[str, AskError] = MappingProxyType({
    "rate_limit": RateLimitError("the fake was told to be busy", 429, "rate_limit_exceeded"),
    "server_error": ServerError("the fake was told to fail", 500),
    "timeout": RequestTimeoutError("the fake was told not to answer in time"),
    "connection": ConnectionFailedError("the fake was told to break off"),
    "bad_request": BadRequestError("the fake was told to refuse", 400),
    "context_length": ContextLengthError("the fake was told it is too long", 400, "context_length_exceeded"),
    "authentication": AuthenticationError("the fake was told to refuse the key", 401),
})


class FakeEngine:
    """The engine of kind ``fake``."""

    version: str | None = None

    def __init__(self, settings: EngineSettings, model: Model, context: EngineContext) -> None:  # noqa: ARG002 - every engine gets all three
        assert isinstance(settings, Fake)
        self._settings = settings
        self._template = compile_template(settings.template, name="engine.template")
        self._attempts: dict[bytes, int] = {}
        """Failures so far of requests that will be asked again."""

    async def __aenter__(self) -> Self:
        if self._settings.start_seconds:
            await asyncio.sleep(self._settings.start_seconds)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._attempts.clear()

    async def generate(self, request: Request) -> Response:
        course = Course("fake", 1)
        settings = self._settings
        try:
            async with asyncio.timeout(settings.timeout):
                if settings.error_rate or settings.latency_jitter:
                    await self._trouble(request)
                elif settings.latency:
                    await asyncio.sleep(settings.latency)
        except TimeoutError:
            raise RequestTimeoutError(f"no answer within {settings.timeout:g} s") from None
        response = self._answer(request, course)
        require_asked(request, response)
        return response

    async def stream(self, request: Request) -> AsyncGenerator[Chunk | Response]:
        """Yield the answer word by word."""
        response = await self.generate(request)
        for index, choice in enumerate(response.choices):
            for place, word in enumerate(re.findall(r"\s*\S+", choice.text)):
                own = choice.logprobs[place : place + 1] if choice.logprobs is not None else None
                yield Chunk(index, word, logprobs=own)
        yield response

    async def _trouble(self, request: Request) -> None:
        """Wait, and fail, as this attempt's draw has it: the same in every run."""
        settings = self._settings
        key = request_key(request.canonical())
        attempt = self._attempts.pop(key, 0)
        drawn = hashlib.sha256(b"%b %d %d" % (key, attempt, settings.seed)).digest()
        if delay := settings.latency + settings.latency_jitter * _fraction(drawn[:8]):
            await asyncio.sleep(delay)
        if _fraction(drawn[8:16]) < settings.error_rate:
            failure = _FAILURES[settings.error]
            if not isinstance(failure, RowError):
                self._attempts[key] = attempt + 1
            raise type(failure)(failure.message, failure.status, failure.code)

    def _answer(self, request: Request, course: Course) -> Response:
        text = self._template.render(_names(request))
        stopped = StoppedText(stops_of(request))
        stopped.add(text)
        choice = _choice(stopped.whole, request.sampling)
        count = request.sampling.get("n") or 1
        words = len(choice.text.split())
        for _ in range(words if self._settings.stream else 0):
            course.spoke()
        return Response(
            choices=(choice,) * count,
            usage=Usage(
                prompt_tokens=sum(len(part.split()) for part in _texts(request)),
                completion_tokens=words * count,
            ),
            timing=course.timing(),
            engine="fake",
        )


def _fraction(data: bytes) -> float:
    return int.from_bytes(data) / float(256 ** len(data))


def _names(request: Request) -> dict[str, object]:
    return {
        "messages": request.messages,
        "prompt": request.input if isinstance(request.input, str) else "",
        "last": _texts(request)[-1],
        "sample": request.sample,
    }


def _texts(request: Request) -> list[str]:
    if isinstance(request.input, str):
        return [request.input]
    return [_content(message["content"]) for message in request.messages]


def _content(content: Any) -> str:
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content)
    return content or ""


def _choice(text: str, sampling: Mapping[str, Any]) -> Choice:
    words = list(re.finditer(r"\S+", text))
    most = sampling.get("max_tokens") or len(words)
    cut = len(words) > most
    text = text[: words[most - 1].end()] if cut else text
    logprobs = None
    if sampling.get("logprobs"):
        logprobs = tuple(_certain(word[0], sampling.get("top_logprobs")) for word in words[:most])
    return Choice(
        text=text,
        finish_reason="length" if cut else "stop",
        logprobs=logprobs,
        cumulative_logprob=0.0 if logprobs is not None else None,
    )


def _certain(word: str, top: int | None) -> TokenLogprob:
    """A template leaves no doubt: every word has probability 1."""
    return TokenLogprob(word, 0.0, top=((word, 0.0),) if top else ())


def check(settings: EngineSettings, model: Model) -> list[Fault]:  # noqa: ARG001 - the signature is shared
    """Find what is wrong with the template."""
    assert isinstance(settings, Fake)
    try:
        template = compile_template(settings.template, name="engine.template")
    except TemplateError as error:
        return [error.fault("engine.template")]
    return unknown_names(template, NAMES, "engine.template")


def _devices(settings: EngineSettings, topology: Topology) -> int:
    assert isinstance(settings, Fake)
    return settings.gpus * topology.devices


KIND = EngineKind(
    settings=Fake,
    capabilities=Capabilities(
        tasks=frozenset({"chat", "complete"}),
        sampling=parameters(
            "temperature",
            "top_p",
            "top_k",
            "min_p",
            "max_tokens",
            "stop",
            "seed",
            "n",
            "logprobs",
            "top_logprobs",
            "presence_penalty",
            "frequency_penalty",
            "repetition_penalty",
        ),
        concurrency=64,
        topology=frozenset({"tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size"}),
    ),
    factory="runner.engines.fake:FakeEngine",
    summary="answers from a template, with delays and errors to order",
    neutral=frozenset({
        "latency",
        "latency_jitter",
        "error_rate",
        "error",
        "seed",
        "start_seconds",
        "gpus",
        "stream",
    }),
    devices=_devices,
    check=check,
)
