"""What is OpenAI's and Together's own: raw prompts, addresses, log probabilities, connections."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from openai.types.completion_create_params import CompletionCreateParamsNonStreaming as OpenAIText
from together.types.completion_create_params import CompletionCreateParamsNonStreaming as TogetherText

from runner.engines import openai, together
from runner.engines.base import EngineKind
from runner.engines.registry import engine_kinds
from runner.spec import Model
from runner.values import Request, Response, TokenLogprob
from tests.engines.asking_engines import chat_request, text_request
from tests.engines.scripted_server import chat, serving
from tests.providers.typed import misfits
from tests.providers.wire import address, answer, exchange

TEXT = {"choices": [{"index": 0, "text": " Paris", "finish_reason": "stop"}]}


@pytest.mark.parametrize(
    ("kind", "form", "most"), [("openai", OpenAIText, "max_tokens"), ("together", TogetherText, "max_tokens")]
)
def test_raw_prompt_goes_to_the_completions_route(kind: str, form: Any, most: str) -> None:
    """A prompt is sent as it is, with the names that this route has."""
    response, sent = exchange(kind, text_request("The capital is", max_tokens=3, temperature=0.0), TEXT)

    assert (sent.path, response.text) == ("/v1/completions", " Paris")
    assert sent.body == {"model": "m", "prompt": "The capital is", most: 3, "temperature": 0.0}
    assert misfits(form, sent.body) == []


def test_openai_takes_a_prompt_of_token_ids() -> None:
    """Token ids go out as numbers."""
    request = Request("complete", [1, 2, 3], {}, chat_request().scope)  # type: ignore[arg-type] # typed as text

    _, sent = exchange("openai", request, TEXT)

    assert sent.body["prompt"] == [1, 2, 3]
    assert misfits(OpenAIText, sent.body) == []


def test_openai_completions_have_log_probabilities() -> None:
    """There, logprobs is how many alternatives to show."""
    logprobs = {
        "tokens": [" Paris"],
        "token_logprobs": [-0.5],
        "top_logprobs": [{" Paris": -0.5, " B": -1.5}],
    }
    body = {"choices": [{"text": " Paris", "logprobs": logprobs}]}

    response, sent = exchange("openai", text_request("Hi", logprobs=True, top_logprobs=2), body)

    assert sent.body["logprobs"] == 2
    assert response.choices[0].logprobs == (
        TokenLogprob(" Paris", -0.5, top=((" Paris", -0.5), (" B", -1.5))),
    )


def test_together_reads_its_own_form_of_log_probabilities() -> None:
    """Lists side by side are tokens with their ids, and the alternatives where they were asked for."""
    logprobs = {
        "tokens": ["4", "2"],
        "token_ids": [19, 17],
        "token_logprobs": [-0.1, -0.2],
        "top_logprobs": [{"4": -0.1, "5": -2.5}, {"2": -0.2}],
    }

    response, sent = exchange(
        "together", chat_request(logprobs=True, top_logprobs=2), chat("42", logprobs=logprobs)
    )

    assert sent.body["logprobs"] == 2
    assert response.choices[0].logprobs == (
        TokenLogprob("4", -0.1, 19, (("4", -0.1), ("5", -2.5))),
        TokenLogprob("2", -0.2, 17, (("2", -0.2),)),
    )


def test_together_is_asked_for_the_chosen_tokens_alone() -> None:
    """Without alternatives the number sent is 1: with 0 the answer would have no logprobs at all."""
    logprobs = {"tokens": ["4"], "token_logprobs": [-0.1]}

    response, sent = exchange("together", chat_request(logprobs=True), chat("4", logprobs=logprobs))

    assert sent.body["logprobs"] == 1
    assert response.choices[0].logprobs == (TokenLogprob("4", -0.1),)


@pytest.mark.parametrize(
    ("kind", "variable"), [("openai", "OPENAI_BASE_URL"), ("together", "TOGETHER_BASE_URL")]
)
def test_address_in_the_environment_is_not_taken(
    kind: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An SDK's own variable can't send requests elsewhere than the experiment says."""
    monkeypatch.setenv(variable, "http://127.0.0.1:9/v1")

    response, _ = exchange(kind, chat_request(), chat("here"))

    assert response.text == "here"


@pytest.mark.parametrize(
    ("kind", "expected"),
    [(openai.KIND, "https://api.openai.com/v1/"), (together.KIND, "https://api.together.ai")],
)
def test_address_is_the_providers_own_unless_another_is_given(
    kind: EngineKind, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without base_url it is asked where the provider is, even where the SDK's variable says otherwise."""
    monkeypatch.setenv(f"{kind.name.upper()}_BASE_URL", "http://127.0.0.1:9/v1")

    engine: Any = kind.create(kind.settings.model_validate({"kind": kind.name}), Model(name="m"))

    assert str(engine.client.sdk.base_url) == expected


@pytest.mark.parametrize("kind", ["openai", "together"])
def test_many_requests_are_in_flight_at_once(kind: str) -> None:
    """No pool of the SDK's keeps requests waiting: all of them arrive before any is answered."""
    described = engine_kinds()[kind]

    async def run() -> int:
        async with serving(answer(b"", hang=True)) as server:
            given = {"kind": kind, "base_url": address(server, kind)}
            engine = described.create(described.settings.model_validate(given), Model(name="m"))
            asked: list[asyncio.Future[Response]] = []
            async with engine:
                # In groups: a kernel queues no more than a hundred new connections.
                while len(asked) < 1050:
                    asked += [asyncio.ensure_future(engine.generate(chat_request())) for _ in range(50)]
                    await asyncio.wait_for(server.received(len(asked)), 30)
                for one in asked:
                    one.cancel()
                await asyncio.gather(*asked, return_exceptions=True)
            return len(server.sent)

    assert asyncio.run(run()) == 1050


def test_version_is_what_openai_calls_its_backend() -> None:
    """The fingerprint of an answer is kept beside it."""
    response, _ = exchange("openai", chat_request(), {**chat(), "system_fingerprint": "fp_44709d6fcb"})

    assert response.engine_version == "fp_44709d6fcb"
