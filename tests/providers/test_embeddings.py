"""Task embed through the providers' own SDKs: several inputs in a request, vectors as float32."""

from __future__ import annotations

import asyncio
import base64
import struct
from typing import Any

import pytest

from runner.engines.registry import engine_kinds
from runner.errors import MalformedResponseError, RateLimitError
from runner.spec import Model
from runner.values import Request, Scope
from tests.engines.scripted_server import Reply, Sent, serving
from tests.providers.wire import KEY, KEYS, address, answer

VECTORS = [(0.1, -0.25), (3.5, 1e-7)]
KINDS = ["openai", "together", "mistral", "google"]


def packed(vector: tuple[float, ...]) -> bytes:
    """Return a vector as float32."""
    return struct.pack(f"<{len(vector)}f", *vector)


def body(kind: str) -> dict[str, Any]:
    """Return what a provider answers to two inputs, as its API documents it."""
    if kind == "google":
        return {"embeddings": [{"values": list(vector)} for vector in VECTORS]}
    shown: list[Any] = [list(vector) for vector in VECTORS]
    if kind == "openai":
        shown = [base64.b64encode(packed(vector)).decode() for vector in VECTORS]
    data = [{"object": "embedding", "index": index, "embedding": one} for index, one in enumerate(shown)]
    usage = {"prompt_tokens": 6, "total_tokens": 6, "completion_tokens": 0}
    return {"id": "e", "object": "list", "model": "m", "data": data[::-1], "usage": usage}


def embedded(
    kind: str, reply: Reply, texts: tuple[str, ...] = ("one", "two")
) -> tuple[list[Any], list[Sent]]:
    """Ask for several texts at once; return responses or errors, and what was sent."""

    async def run() -> tuple[list[Any], list[Sent]]:
        async with serving(reply) as server:
            described = engine_kinds()[kind]
            own = described.settings.model_validate({"base_url": address(server, kind)})
            sampling = {"passthrough": {"extra": 1}}
            asked = [Request("embed", text, sampling, Scope({}, {})) for text in texts]
            async with described.create(own, Model(name="m")) as engine:
                found = await asyncio.gather(*map(engine.generate, asked), return_exceptions=True)
            return found, server.sent

    return asyncio.run(run())


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every provider's key is set."""
    for name in KEYS.values():
        monkeypatch.setenv(name, KEY)


@pytest.mark.parametrize("kind", KINDS)
def test_inputs_share_a_request_and_vectors_are_split_back(kind: str) -> None:
    """Two inputs that wait together are one request; each gets its own vector."""
    responses, sent = embedded(kind, answer(body(kind)))

    assert [response.embeddings for response in responses] == [(packed(vector),) for vector in VECTORS]
    assert len(sent) == 1
    assert all(text in str(sent[0].body) for text in ("one", "two"))
    assert sent[0].body["extra"] == 1
    assert {response.engine for response in responses} == {kind}


@pytest.mark.parametrize("kind", ["openai", "together", "mistral"])
def test_tokens_are_shared_out(kind: str) -> None:
    """Providers tell the sum; the inputs have it between them."""
    responses, _ = embedded(kind, answer(body(kind)))

    assert sum(response.usage.prompt_tokens for response in responses) == 6


@pytest.mark.parametrize("kind", KINDS)
def test_fewer_vectors_than_inputs_are_malformed(kind: str) -> None:
    """Three inputs and two vectors: nobody can tell whose they are."""
    errors, _ = embedded(kind, answer(body(kind)), ("one", "two", "three"))

    assert {type(error) for error in errors} == {MalformedResponseError}


@pytest.mark.parametrize("kind", ["openai", "together", "mistral"])
def test_error_in_place_of_vectors_is_the_servers_own(kind: str) -> None:
    """Whichever SDK brought it, with a good status."""
    errors, _ = embedded(kind, answer({"data": [], "error": {"message": "slow down", "code": 429}}), ("one",))

    assert isinstance(errors[0], RateLimitError)
