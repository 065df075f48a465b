"""A request that a working server fails on each time is at fault, and its error names its constraint."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from runner.engines.limits import Limiter
from runner.engines.openai_compatible import KIND, OpenAICompatible
from runner.engines.retrying import Backoff, Retrying
from runner.errors import AskError, RowError, ServerError, UnservableRequestError
from runner.spec import Model
from tests.engines.asking_engines import chat_request
from tests.engines.scripted_server import chat
from tests.http_server import Exchange, HttpServer

QUICK = Backoff(first=0.001, longest=0.004, jitter=0.001)
SCHEMA: dict[str, Any] = {"json_schema": {"type": "object"}}


async def fails_on_bad(exchange: Exchange) -> None:
    """Answers all requests but those that say bad, on which it fails in the same way."""
    if b"bad" in exchange.request.body:
        await exchange.answer(b'{"error": {"message": "list index out of range"}}', status=500)
    else:
        await exchange.answer(json.dumps(chat("{}")).encode())


async def _outcomes(*requests: Any, attempts: int = 3) -> list[Any]:
    with HttpServer({"/v1/chat/completions": fails_on_bad}) as server:
        inner = KIND.create(OpenAICompatible(base_url=server.url("/v1")), Model(name="m"))
        async with Retrying(inner, attempts, Limiter(4), QUICK) as engine:
            found: list[Any] = []
            for request in requests:
                try:
                    found.append(await engine.generate(request))
                except AskError as error:
                    found.append(error)
            return found


def outcomes(*requests: Any, attempts: int = 3) -> list[Any]:
    """Return what becomes of requests, sent one after the other."""
    return asyncio.run(_outcomes(*requests, attempts=attempts))


@pytest.mark.parametrize(
    ("sampling", "name"),
    [
        (SCHEMA, "json_schema"),
        ({"passthrough": {"response_format": {"type": "json_object"}}}, "response_format"),
        ({"passthrough": {"guided_json": {}}}, "guided_json"),
        ({"passthrough": {"structured_outputs": {"grammar": "root ::= x"}}}, "structured_outputs"),
    ],
)
def test_constraint_that_a_server_fails_on_is_named(sampling: dict[str, Any], name: str) -> None:
    """Others were answered: the row is final, and says what to look at."""
    _, error = outcomes(chat_request("good"), chat_request("bad", **sampling))

    assert type(error) is UnservableRequestError
    assert isinstance(error, RowError)
    assert error.status == 500
    assert "list index out of range" in error.message
    assert f"may not support this {name}" in error.message


def test_request_without_a_constraint_is_left_to_a_resume() -> None:
    """A server that is overloaded fails on whatever it is sent."""
    _, error = outcomes(chat_request("good"), chat_request("bad"))

    assert type(error) is ServerError


def test_server_that_never_answered_is_at_fault_itself() -> None:
    """No row is blamed for what befalls all."""
    (error,) = outcomes(chat_request("bad", **SCHEMA))

    assert type(error) is ServerError


def test_one_attempt_tells_nothing() -> None:
    """It takes a second to see that it is the same."""
    _, error = outcomes(chat_request("good"), chat_request("bad", **SCHEMA), attempts=1)

    assert type(error) is ServerError
