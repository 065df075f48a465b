"""Every engine behind an address: each fault's class, whether it is asked again, and no key in its words."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from runner.engines.limits import Limiter
from runner.engines.registry import engine_kinds
from runner.engines.retrying import Backoff, Retrying
from runner.errors import (
    AskError,
    AuthenticationError,
    BadRequestError,
    ConnectionFailedError,
    ContextLengthError,
    EngineError,
    MalformedResponseError,
    RateLimitError,
    RequestTimeoutError,
    RowError,
    ServerError,
    UnknownModelError,
)
from runner.spec import Model
from runner.values import Request, Response
from tests.engines.asking_engines import ask, chat_request
from tests.engines.scripted_server import Reply, chat, serving
from tests.providers.native import KINDS as NATIVE
from tests.providers.native import anthropic_message, google_answer, mistral_completion, refusing, saying
from tests.providers.wire import KEY, KEYS, address, answer, exchange

SERVERS = ("openai_compatible", "vllm", "sglang", "openllm", "candle_vllm")
ALL = (*KEYS, *SERVERS)
ASKED = [
    (kind, task)
    for kind in ALL
    for task in ("chat", "embed")
    if task in engine_kinds()[kind].capabilities.tasks
]
NO_MODEL = {
    "anthropic": f"model: claude-9 {KEY}",
    "mistral": f"Invalid model: {KEY}, invalid_model",
    "google": f"models/gemini-9 is not found for {KEY}",
}
TOO_LONG = {
    "anthropic": "prompt is too long: 210000 tokens > 200000 maximum",
    "google": "The input token count (1100000) exceeds the maximum number of tokens allowed (1048576).",
}
OPENAI_TOO_LONG = "This model's maximum context length is 8192 tokens."
Fault = Callable[[str, str], Reply]
"""The reply of an engine kind to a task."""


def good(kind: str, task: str, size: int = 1) -> dict[str, Any]:
    """Return a whole answer: a text or a vector of some size."""
    if task == "chat":
        return saying(kind, "x" * size) if kind in NATIVE else chat("x" * size)
    if kind == "google":
        return {"embeddings": [{"values": [0.5] * size}]}
    data = [{"object": "embedding", "index": 0, "embedding": [0.5] * size}]
    usage = {"prompt_tokens": 1, "total_tokens": 1, "completion_tokens": 0}
    return {"id": "e", "object": "list", "model": "m", "data": data, "usage": usage}


def refusal(status: int, message: str = f"not like that, {KEY}", **headers: str) -> Fault:
    """Return a fault that a provider tells in its own form."""

    def reply(kind: str, _task: str) -> Reply:
        body = refusing(kind, message) if kind in NATIVE else {"error": {"message": message}}
        return answer(body, status, {name.replace("_", "-"): value for name, value in headers.items()})

    return reply


def no_model(kind: str, task: str) -> Reply:
    message = NO_MODEL.get(kind, f"The model `{KEY}` does not exist")
    if kind == "anthropic":
        return answer(refusing(kind, message, "not_found_error"), 404)
    return refusal(404, message)(kind, task)


def too_long(kind: str, task: str) -> Reply:
    return refusal(400, f"{TOO_LONG.get(kind, OPENAI_TOO_LONG)} {KEY}")(kind, task)


def nothing(kind: str, task: str) -> Reply:
    """Return an answer that lists no choices, or no vectors."""
    body = good(kind, task)
    name = next(name for name in ("choices", "candidates", "content", "embeddings", "data") if name in body)
    return answer({**body, name: None if name == "content" else []})


def of_another_type(kind: str, task: str) -> Reply:
    """Return an answer whose list is a text with the key in it."""
    body = good(kind, task)
    name = next(name for name in ("choices", "candidates", "content", "embeddings", "data") if name in body)
    return answer({**body, name: KEY})


FAULTS: dict[str, tuple[Fault, type[AskError], bool]] = {
    "401": (refusal(401), AuthenticationError, False),
    "403": (refusal(403), AuthenticationError, False),
    "404 model": (no_model, UnknownModelError, False),
    "429": (refusal(429), RateLimitError, True),
    "429 with Retry-After": (refusal(429, Retry_After="0.01"), RateLimitError, True),
    "500": (refusal(500), ServerError, True),
    "529": (refusal(529), ServerError, True),
    "context too long": (too_long, ContextLengthError, False),
    "content filter": (
        refusal(400, f"Your request was flagged by our content filter, {KEY}"),
        BadRequestError,
        False,
    ),
    "end in mid-body": (
        lambda kind, task: answer(good(kind, task, 999), cut=True),
        ConnectionFailedError,
        True,
    ),
    "reset in mid-body": (
        lambda kind, task: answer(good(kind, task, 999), reset=True),
        ConnectionFailedError,
        True,
    ),
    "malformed JSON": (lambda *_: answer(f'{{"{KEY}": '.encode()), MalformedResponseError, True),
    "nothing in it": (nothing, MalformedResponseError, True),
    "another type": (of_another_type, MalformedResponseError, True),
}


def request_of(task: str) -> Request:
    return chat_request() if task == "chat" else Request("embed", "Hi", {}, chat_request().scope)


async def answered(engine: Retrying, request: Request) -> Response | AskError:
    try:
        return await engine.generate(request)
    except (EngineError, RowError) as error:
        return error


@pytest.fixture(autouse=True)
def _key_of_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY", KEY)


async def met(
    kind: str,
    task: str,
    broken: Reply,
    *,
    timeout: float = 30.0,  # noqa: ASYNC109 - the engine's setting
) -> tuple[AskError, Response | AskError, int]:
    """Meet a fault without and with retries; return the error, the outcome and the requests that it took."""
    described = engine_kinds()[kind]
    quick = Backoff(first=0.001, longest=0.004, jitter=0.001)
    async with serving(broken, broken, answer(good(kind, task))) as server:
        given = {"base_url": address(server, kind), "timeout": timeout}
        given |= {"api_key_env": "A_KEY"} if kind in SERVERS else {}
        engine = described.create(described.settings.model_validate(given), Model(name="m"))
        async with Retrying(engine, 3, Limiter(4), quick) as retrying:
            with pytest.raises(AskError) as caught:
                await engine.generate(request_of(task))
            assert len(server.sent) == 1, "an engine never retries"
            outcome = await answered(retrying, request_of(task))
            return caught.value, outcome, len(server.sent) - 1


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(("kind", "task"), ASKED)
def test_fault_has_its_class_and_is_asked_again_where_it_may_pass(kind: str, task: str, fault: str) -> None:
    """The engine itself asks once; with retries above it, a fault that may pass costs one more request."""
    reply, expected, again = FAULTS[fault]

    error, outcome, requests = asyncio.run(met(kind, task, reply(kind, task)))

    assert type(error) is expected
    assert KEY not in f"{error!r} {outcome!r}"
    assert error.retry_after == (0.01 if fault.endswith("Retry-After") else None)
    assert (isinstance(outcome, Response), requests) == ((True, 2) if again else (False, 1))


@pytest.mark.parametrize("kind", ALL)
def test_answer_that_a_filter_cut_is_an_answer(kind: str) -> None:
    """Asking again would give the same; how it ended is told."""
    body = {
        "anthropic": anthropic_message({"type": "text", "text": "x"}, stop_reason="refusal"),
        "mistral": mistral_completion("x", finish_reason="content_filter"),
        "google": google_answer({"text": "x"}, finishReason="SAFETY"),
    }.get(kind, chat("x", finish_reason="content_filter"))
    given = {"api_key_env": "A_KEY"} if kind in SERVERS else {}

    response, _ = exchange(kind, chat_request(), body, **given)

    assert (response.text, response.choices[0].finish_reason) == ("x", "content_filter")


def test_late_answer_is_a_timeout_and_asked_again() -> None:
    """engine.timeout bounds one request, whichever engine it is; all of them wait side by side."""

    async def run() -> list[tuple[AskError, Response | AskError, int]]:
        late = Reply(hang=True)
        for kind, task in ASKED:  # what an SDK loads for its first request takes none of the time
            async with serving(answer(good(kind, task))) as server:
                given = {"api_key_env": "A_KEY"} if kind in SERVERS else {}
                await ask(kind, request_of(task), base_url=address(server, kind), **given)
        return await asyncio.gather(*(met(kind, task, late, timeout=2.0) for kind, task in ASKED))

    for asked, (error, outcome, requests) in zip(ASKED, asyncio.run(run()), strict=True):
        found = (type(error), isinstance(outcome, Response), requests)
        assert (asked, *found) == (asked, RequestTimeoutError, True, 2)
