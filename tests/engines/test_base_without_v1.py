"""What users of LLM-Engines bring along works, or its error says what to write."""

from __future__ import annotations

import asyncio
import json

import pytest
from pydantic import ValidationError

from runner.engines.google import KIND as GOOGLE
from runner.engines.google import Google
from runner.engines.openai_compatible import KIND, OpenAICompatible
from runner.errors import AskError, BadRequestError, EngineError
from runner.spec import Model, Sampling
from tests.engines.asking_engines import chat_request
from tests.engines.scripted_server import chat
from tests.http_server import Behaviour, Exchange, HttpServer


async def chats(exchange: Exchange) -> None:
    if exchange.request.method == "POST":
        await exchange.answer(json.dumps(chat("hi")).encode())
    else:
        await exchange.answer(b"{}", status=405)


async def models(exchange: Exchange) -> None:
    await exchange.answer(b'{"data": []}')


def asked(server: HttpServer, base: str, *, stream: bool = False) -> AskError | str:
    async def run() -> AskError | str:
        settings = OpenAICompatible(base_url=server.url(base), stream=stream)
        async with KIND.create(settings, Model(name="m")) as engine:
            try:
                return (await engine.generate(chat_request())).text
            except AskError as error:
                return error

    return asyncio.run(run())


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("prefix", ["", "/gateway"])
@pytest.mark.parametrize("there", [{"/v1/chat/completions": chats}, {"/v1/models": models}])
def test_address_without_v1_says_what_to_write(
    there: dict[str, Behaviour], prefix: str, stream: bool
) -> None:
    """One look at each of two paths tells; the job stops, since no row could be answered."""
    with HttpServer({f"{prefix}{path}": behaviour for path, behaviour in there.items()}) as server:
        error = asked(server, prefix, stream=stream)

        assert type(error) is EngineError
        assert error.message.endswith(f"set engine.base_url={server.url(prefix)}/v1")


def test_address_of_nothing_is_refused_with_a_hint() -> None:
    """There is no such path, with /v1 or without."""
    with HttpServer({}) as server:
        error = asked(server, "")

        assert type(error) is BadRequestError
        assert f"try engine.base_url={server.url('')}/v1" in str(error)


def test_address_with_v1_is_not_looked_for_elsewhere() -> None:
    """The path that is missing is another one."""
    with HttpServer({"/v1/v1/models": models}) as server:
        assert type(asked(server, "/v1")) is BadRequestError


def test_googles_other_key_is_named_where_only_that_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not taken unasked: the error says what to write, and that works."""
    monkeypatch.delenv("GEMINI_API_KEY", raising=False)
    monkeypatch.setenv("GOOGLE_API_KEY", "g2")
    (fault,) = GOOGLE.check(Google(), Model(name="gemini"))
    assert "GEMINI_API_KEY is not set" in str(fault)
    assert "write engine.api_key_env=GOOGLE_API_KEY" in str(fault)

    settings = Google(api_key_env="GOOGLE_API_KEY")
    assert GOOGLE.check(settings, Model(name="gemini")) == []
    assert settings.api_key() == "g2"


@pytest.mark.parametrize("value", [0, 0.0])
def test_top_p_of_0_says_how_greedy_is_written(value: float) -> None:
    """Some libraries take it for greedy decoding."""
    with pytest.raises(ValidationError, match="write temperature: 0"):
        Sampling.model_validate({"top_p": value})
    assert Sampling.model_validate({"top_p": 1}).top_p == 1.0
