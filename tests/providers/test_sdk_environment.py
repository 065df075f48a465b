"""What an SDK would take from the environment, or leave without an end, is the experiment's to say."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest

from runner.errors import AskError, ConnectionFailedError
from tests.engines.asking_engines import ask, chat_request
from tests.engines.scripted_server import chat
from tests.providers.native import saying
from tests.providers.wire import KEY, KEYS, PATHS, exchange

SDKS = ("openai", "anthropic", "together", "google", "mistral")


@pytest.mark.parametrize("kind", ["openai", "anthropic", "together"])
def test_key_in_the_environments_headers_is_not_sent(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable that the experiment names holds the key."""
    monkeypatch.setenv(f"{kind.upper()}_CUSTOM_HEADERS", "Authorization: Bearer other\nX-Api-Key: other")

    _, sent = exchange(kind, chat_request(), saying(kind, "Hi") if kind == "anthropic" else chat("Hi"))

    assert sent.headers["authorization"] == f"Bearer {KEY}"
    assert "other" not in str(sent.headers)


def test_google_sdk_says_nothing_of_keys_that_it_does_not_use(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is given the key of the variable that the experiment names."""
    monkeypatch.setenv("GOOGLE_API_KEY", "other")

    _, sent = exchange("google", chat_request(), saying("google", "Hi"))

    assert sent.headers["x-goog-api-key"] == KEY
    assert "GOOGLE_API_KEY" not in caplog.text


@pytest.mark.parametrize("kind", ["openai", "anthropic", "together"])
def test_headers_are_those_that_the_experiment_names(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """None is added by a variable that only the SDK knows."""
    for name, value in {
        f"{kind.upper()}_CUSTOM_HEADERS": "X-More: more",
        "OPENAI_ORG_ID": "org",
        "OPENAI_PROJECT_ID": "proj",
        "OURS": "ours",
    }.items():
        monkeypatch.setenv(name, value)
    body = saying(kind, "Hi") if kind == "anthropic" else chat("Hi")

    _, sent = exchange(kind, chat_request(), body, headers_env={"X-Ours": "OURS"})

    assert sent.headers["x-ours"] == "ours"
    assert not {"x-more", "openai-organization", "openai-project"} & sent.headers.keys()


@pytest.fixture
def deaf() -> Iterator[str]:
    """Address of a listener whose queue is full: connecting to it never ends."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.settimeout(0)
            one.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        for one in waiting:
            one.close()


def test_connection_that_is_not_had_is_given_up_before_the_time_of_the_request(deaf: str) -> None:
    """By every SDK alike."""

    async def failure(kind: str) -> AskError:
        with pytest.raises(AskError) as caught:
            await ask(kind, chat_request(), base_url=deaf + PATHS.get(kind, "/v1"), timeout=60)
        return caught.value

    async def go() -> list[AskError]:
        return await asyncio.gather(*map(failure, SDKS))

    for kind, error in zip(SDKS, asyncio.run(go()), strict=True):
        assert isinstance(error, ConnectionFailedError), f"{kind}: {error!r}"
        assert "timed out while connecting" in error.message


def test_every_sdk_is_tried_here() -> None:
    """All that have a key and an SDK of their own."""
    assert {*SDKS} == KEYS.keys() - {"fireworks", "xai", "deepseek"}
