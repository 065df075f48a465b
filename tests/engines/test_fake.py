"""The shipped fake: answers, delays and errors to order."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from runner.engines.base import Engine
from runner.engines.fake import KIND, Fake
from runner.errors import (
    AskError,
    AuthenticationError,
    BadRequestError,
    ConnectionFailedError,
    ContextLengthError,
    RateLimitError,
    RequestTimeoutError,
    ServerError,
)
from runner.spec import Model, Topology
from runner.values import Choice, Request, Response, Usage
from tests.engines.asking_engines import ask, chat_request, text_request
from tests.engines.chunk_kit import texts_of


def answer(request: Request, **settings: Any) -> Response:
    """Ask a fake once."""
    return asyncio.run(ask("fake", request, **settings))


def test_fake_repeats_the_last_message_by_default() -> None:
    """Without a template it is an echo that counts words as tokens."""
    response = answer(chat_request("one two three"))

    assert response.choices == (Choice("one two three", "stop"),)
    assert response.usage == Usage(3, 3)
    assert response.engine == "fake"


def test_fake_template_sees_messages_prompt_and_sample() -> None:
    """Both tasks, and which of the independent samples it is."""
    template = "{{ messages | length }}|{{ prompt }}|{{ last }}|{{ sample }}"

    assert answer(chat_request("Hi", sample=2), template=template).text == "1||Hi|2"
    assert answer(text_request("Hi"), template=template).text == "0|Hi|Hi|0"


def test_fake_honours_n_max_tokens_stop_and_logprobs() -> None:
    """What asks for a certain form of answer gets it."""
    response = answer(
        chat_request("a b c END d", n=2, max_tokens=2, stop=["END"], logprobs=True, top_logprobs=1)
    )

    assert len(response.choices) == 2
    assert response.text == "a b"
    assert response.choices[0].finish_reason == "length"
    assert [token.token for token in response.choices[0].logprobs or ()] == ["a", "b"]
    assert answer(chat_request("a b c END d", stop=["END"])).choices[0] == Choice("a b c ", "stop")
    assert answer(chat_request("abcd", stop=["bcd", "c"])).text == "ab", "the one that is complete first"


def test_fake_streams_the_words_of_its_answer() -> None:
    """Joined, the pieces are the answer."""

    async def run() -> list[str]:
        async with KIND.create(Fake(), Model(name="m")) as engine:
            return await texts_of(engine, chat_request("one two\n three"))

    assert asyncio.run(run()) == ["one", " two", "\n three"]


@pytest.mark.parametrize("jitter", [0.0, 0.1])
def test_fake_is_late_as_any_engine_is(jitter: float) -> None:
    """An answer that takes longer than engine.timeout is none."""
    with pytest.raises(RequestTimeoutError, match=r"no answer within 0\.05 s"):
        answer(chat_request("a"), latency=600, latency_jitter=jitter, timeout=0.05)


def test_fake_has_the_times_of_pieces_when_asked() -> None:
    """All its words come at the end of the delay; one word has no time to the next."""
    words = answer(chat_request("one two three"), latency=0.05, stream=True).timing
    word = answer(chat_request("one"), stream=True).timing

    assert words.first_token is not None
    assert words.inter_token is not None
    assert 0.05 <= words.first_token <= words.first_token + 2 * words.inter_token <= words.seconds
    assert (word.first_token is not None, word.inter_token) == (True, None)
    assert answer(chat_request("one two")).timing.first_token is None


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("rate_limit", RateLimitError),
        ("server_error", ServerError),
        ("timeout", RequestTimeoutError),
        ("connection", ConnectionFailedError),
        ("bad_request", BadRequestError),
        ("context_length", ContextLengthError),
        ("authentication", AuthenticationError),
    ],
)
def test_fake_fails_as_it_is_told(name: str, kind: type[AskError]) -> None:
    """Every family of errors can be rehearsed."""
    with pytest.raises(kind, match="the fake was told"):
        answer(chat_request(), error_rate=1, error=name)


async def _fails(engine: Engine, request: Request) -> bool:
    try:
        await engine.generate(request)
    except ServerError:
        return True
    return False


def failures(requests: int, attempts: int, **settings: Any) -> list[list[bool]]:
    """Return, for each request, which of its attempts fail."""

    async def run() -> list[list[bool]]:
        async with KIND.create(Fake(**settings), Model(name="m")) as engine:
            asked = [chat_request(str(number)) for number in range(requests)]
            return [[await _fails(engine, request) for _ in range(attempts)] for request in asked]

    return asyncio.run(run())


def test_fake_errors_are_the_same_in_every_run_and_others_with_another_seed() -> None:
    """A run that failed somewhere fails there again."""
    first = failures(50, 2, error_rate=0.5)

    assert failures(50, 2, error_rate=0.5) == first
    assert failures(50, 2, error_rate=0.5, seed=1) != first


def test_fake_error_rate_is_the_share_of_attempts_that_fail() -> None:
    """Rarer with a lower rate; and a failed request may succeed when it is asked again."""
    drawn = failures(400, 2, error_rate=0.25)

    assert 60 <= sum(first for first, _ in drawn) <= 140
    assert any(first and not second for first, second in drawn)


def test_fake_takes_as_long_as_it_is_told() -> None:
    """Latency is the least that an answer takes, start_seconds the least that starting does."""
    start = time.perf_counter()

    response = answer(chat_request(), latency=0.05, latency_jitter=0.01, start_seconds=0.05)

    assert response.timing.seconds >= 0.05
    assert time.perf_counter() - start >= 0.1


def test_fake_claims_gpus_for_each_device_of_the_topology() -> None:
    """For trying a cluster's queues without a model; none by default."""
    two = Topology(tensor_parallel_size=2)

    assert KIND.devices(Fake(), two) == 0
    assert KIND.devices(Fake(gpus=1), two) == 2


@pytest.mark.parametrize(
    ("template", "told"), [("{{ last", "template engine.template:1"), ("{{ row.x }}", "unknown name 'row'")]
)
def test_fake_template_that_cannot_work_is_found_by_the_plan(template: str, told: str) -> None:
    """Wrong syntax and unknown names are faults of the config."""
    (fault,) = KIND.check(Fake(template=template), Model(name="m"))

    assert fault.place == "engine.template"
    assert told in fault.problem
