"""A redirect is never followed, whichever client met it, and its error says what to write as base_url."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from runner.engines.registry import engine_kinds
from runner.errors import (
    AskError,
    AuthenticationError,
    EngineError,
    MalformedResponseError,
    RateLimitError,
    ServerError,
)
from runner.spec import Model
from runner.values import Response
from tests.engines.scripted_server import Reply, ScriptedServer, serving
from tests.providers.test_every_fault import ASKED, SERVERS, good, request_of
from tests.providers.wire import KEY, PATHS, address, answer

STREAMED = [(kind, task, False) for kind, task in ASKED] + [
    (kind, task, True) for kind, task in ASKED if task == "chat"
]
REDIRECTED = [(*asked, 302) for asked in STREAMED] + [
    (kind, "chat", False, status)
    for kind in ("openai_compatible", "openai", "mistral")
    for status in (300, 301, 303, 307, 308)
]


@pytest.fixture(autouse=True)
def _key_of_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY", KEY)


async def asked(server: ScriptedServer, kind: str, task: str, **settings: Any) -> Response:
    described = engine_kinds()[kind]
    given = {"base_url": address(server, kind), **settings}
    given |= {"api_key_env": "A_KEY"} if kind in SERVERS else {}
    async with described.create(described.settings.model_validate(given), Model(name="m")) as engine:
        return await engine.generate(request_of(task))


def redirected(kind: str, task: str, status: int, path: str, **settings: Any) -> tuple[AskError, str, int]:
    """Return the error, the address that was redirected to, and how many requests arrived there."""

    async def run() -> tuple[AskError, str, int]:
        async with serving(answer(good(kind, task))) as other:
            base = f"http://localhost:{other.port}{PATHS.get(kind, '/v1')}"
            async with serving(Reply(b"moved", status)) as first:
                # What the engine asks for is known once it has asked.
                with pytest.raises(AskError):
                    await asked(first, kind, task, **settings)
                route = first.sent[0].path.removeprefix(PATHS.get(kind, "/v1"))
            location = path.format(base=base, route=route, port=other.port)
            async with serving(Reply(b"moved", status, {"Location": location})) as moved:
                with pytest.raises(AskError) as caught:
                    await asked(moved, kind, task, **settings)
                assert len(moved.sent) == 1
            return caught.value, base, len(other.sent)

    return asyncio.run(run())


@pytest.mark.parametrize(("kind", "task", "stream", "status"), REDIRECTED)
def test_redirect_is_an_error_that_says_what_to_write(
    kind: str, task: str, stream: bool, status: int
) -> None:
    """The key never reaches the other host; the job stops, since every row would meet the same."""
    error, base, reached = redirected(kind, task, status, "{base}{route}", stream=stream)

    assert reached == 0
    assert isinstance(error, EngineError)
    assert error.status == status
    assert error.message.endswith(f"set engine.base_url={base}")
    assert KEY not in str(error)


@pytest.mark.parametrize(
    ("location", "told"),
    [
        ("http://sso.example/login?next=secret-token", "redirects to http://sso.example/login, and"),
        ("http://me:secret-token@sso.example/", "redirects to http://sso.example, and"),
        ("/login#secret-token", "/login, and redirects are not followed"),
        ("//elsewhere.example/v2/chat/completions", "set engine.base_url=http://elsewhere.example/v2"),
        ("https://x.example/v1/chat/completions/", "set engine.base_url=https://x.example/v1"),
        ("http://me:secret-token@[x/v1?secret-token", "redirects to http://[x/v1, and"),
        ("/v1/chat/completions/", "redirects to itself, with another query or a slash at its end"),
        ("?key=secret-token", "redirects to itself, with another query or a slash at its end"),
    ],
)
def test_location_is_told_without_what_may_be_a_key(location: str, told: str) -> None:
    """Whatever form it has: relative, with a query, with a user."""
    error, _, _ = redirected("openai_compatible", "chat", 302, location)

    assert told in error.message
    assert "secret-token" not in error.message


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "kind", ["openai_compatible", "openai", "anthropic", "mistral", "google", "together"]
)
def test_redirect_without_location_is_one_too(kind: str, stream: bool) -> None:
    """There is nothing to write but the server's own address."""

    async def run() -> AskError:
        async with serving(Reply(b"", 302)) as server:
            with pytest.raises(AskError) as caught:
                await asked(server, kind, "chat", stream=stream)
            return caught.value

    error = asyncio.run(run())

    assert isinstance(error, EngineError)
    assert "names no address" in error.message


@pytest.mark.parametrize("status", [201, 299])
@pytest.mark.parametrize(("kind", "task"), ASKED)
def test_any_good_status_with_a_whole_answer_is_an_answer(kind: str, task: str, status: int) -> None:
    """Gateways answer 201 or 202 too."""

    async def run() -> Response:
        async with serving(answer(good(kind, task), status)) as server:
            return await asked(server, kind, task)

    response = asyncio.run(run())

    assert response.choices or response.embeddings


@pytest.mark.parametrize("status", [200, 204])
@pytest.mark.parametrize(("kind", "task", "stream"), STREAMED)
def test_good_status_without_an_answer_is_none(kind: str, task: str, stream: bool, status: int) -> None:
    """It is requested again, as every malformed answer is."""

    async def run() -> None:
        async with serving(answer(b"", status)) as server:
            await asked(server, kind, task, stream=stream)

    with pytest.raises(MalformedResponseError):
        asyncio.run(run())


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("kind", ["openai", "anthropic", "mistral", "google", "together"])
@pytest.mark.parametrize(
    ("status", "error"), [(429, RateLimitError), (503, ServerError), (401, AuthenticationError)]
)
def test_refusal_without_a_body_is_one(kind: str, status: int, error: type[AskError], stream: bool) -> None:
    """SDKs look for its text in vain."""

    async def run() -> AskError:
        async with serving(Reply(b"", status)) as server:
            with pytest.raises(AskError) as caught:
                await asked(server, kind, "chat", stream=stream)
            return caught.value

    assert type(asyncio.run(run())) is error
