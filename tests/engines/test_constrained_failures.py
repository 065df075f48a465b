"""One constraint that a server fails on is the row's fault; a server that fails on everything is not."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from runner.engines.limits import Limiter
from runner.engines.retrying import Backoff, Retrying
from runner.engines.vllm import KIND
from runner.errors import ServerError, UnservableRequestError
from runner.spec import Model
from tests.engines.asking_engines import chat_request
from tests.http_server import Exchange, HttpServer
from tests.work.work_kit import CHAT, completion

QUICK = Backoff(first=0.001, longest=0.004, jitter=0.001)
CONSTRAINTS: dict[str, Any] = {
    "json_schema": {"type": "object", "properties": {"a": {"type": "string"}}},
    "regex": "a+",
    "choice": ["a", "b"],
    "passthrough": {"structured_outputs": {"grammar": "root ::= 'a'"}},
}
FAILED = b'{"error":{"message":"internal error in request req-%d"}}'


class Fails:
    """Fails on what is asked "bad", the second time once a "good" request was answered, if *between*."""

    def __init__(self, *failures: tuple[int, bytes], between: bool = True) -> None:
        self._failures = failures
        self._between = between
        self._answered = asyncio.Event()
        self.failed = 0

    async def __call__(self, exchange: Exchange) -> None:
        text = exchange.request.json()["messages"][-1]["content"]
        if text == "good":
            await exchange.answer(completion("fine"))
            self._answered.set()
            return
        if self._between and self.failed:
            await self._answered.wait()
        status, body = self._failures[min(self.failed, len(self._failures) - 1)]
        self.failed += 1
        await exchange.answer(body % self.failed if b"%d" in body else body, status)


def failure(server: Fails, *, others: bool = True, attempts: int = 3, **sampling: Any) -> BaseException:
    """Return the error of a request that fails, while others are sent and answered."""

    async def go() -> BaseException:
        with HttpServer({CHAT: server}) as http:
            settings = KIND.settings.model_validate({"kind": "vllm", "base_url": http.url("/v1")})
            inner = KIND.create(settings, Model(name="m"))
            async with Retrying(inner, attempts, Limiter(4), QUICK) as engine:
                bad = asyncio.ensure_future(engine.generate(chat_request("bad", **sampling)))
                while others and not bad.done():
                    await engine.generate(chat_request("good"))
                (error,) = await asyncio.gather(bad, return_exceptions=True)
                assert isinstance(error, BaseException)
                return error

    return asyncio.run(go())


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_same_server_error_is_final_and_names_the_constraint(name: str) -> None:
    """However the server numbers its requests."""
    error = failure(Fails((500, FAILED)), **{name: CONSTRAINTS[name]})

    assert isinstance(error, UnservableRequestError)
    assert (error.status, error.attempts) == (500, 3)
    assert (name if name in CONSTRAINTS and name != "passthrough" else "structured_outputs") in str(error)
    assert "internal error" in str(error)


@pytest.mark.parametrize(
    ("server", "others", "attempts", "sampling"),
    [
        (lambda: Fails((500, FAILED)), True, 3, {}),
        (lambda: Fails((500, FAILED), between=False), False, 3, {"regex": "a+"}),
        (lambda: Fails((500, FAILED), between=False), True, 1, {"regex": "a+"}),
        (lambda: Fails((500, FAILED), (503, FAILED), (500, FAILED)), True, 3, {"regex": "a+"}),
        (lambda: Fails((500, FAILED), (500, b"out of memory")), True, 3, {"regex": "a+"}),
    ],
    ids=["no constraint", "no others", "one attempt", "other statuses", "other messages"],
)
def test_what_may_pass_is_worth_a_later_run(
    server: Any, others: bool, attempts: int, sampling: dict[str, Any]
) -> None:
    """A server that is down, or overloaded, is no row's fault."""
    error = failure(server(), others=others, attempts=attempts, **sampling)

    assert isinstance(error, ServerError)
    assert "regex" not in str(error)


def test_server_that_fails_more_requests_than_it_answers_is_to_blame() -> None:
    """As one that is restarted in the midst of a run."""

    async def go() -> list[Any]:
        with HttpServer({CHAT: Fails((500, FAILED))}) as http:
            settings = KIND.settings.model_validate({"kind": "vllm", "base_url": http.url("/v1")})
            async with Retrying(KIND.create(settings, Model(name="m")), 3, Limiter(8), QUICK) as engine:
                bad = [engine.generate(chat_request("bad", regex="a+")) for _ in range(4)]
                return await asyncio.gather(
                    *bad, engine.generate(chat_request("good")), return_exceptions=True
                )

    *failed, good = asyncio.run(go())

    assert good.text == "fine"
    assert [type(error) for error in failed] == [ServerError] * 4


def test_schema_is_not_repeated() -> None:
    """Its name does."""
    schema = CONSTRAINTS["json_schema"]
    assert json.dumps(schema) not in str(failure(Fails((500, FAILED)), json_schema=schema))
