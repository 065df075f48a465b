"""Streams whose reader leaves before the answer has ended."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from contextlib import aclosing

import pytest

from runner.engines.chunks import Chunk
from runner.engines.registry import engine_kinds
from runner.spec import Model
from tests.engines.asking_engines import chat_request
from tests.engines.chunk_kit import chunks_of
from tests.http_server import Exchange, HttpServer, head
from tests.providers.pieces import saying_in_pieces
from tests.providers.wire import KEYS, PATHS

ROUTES = {
    "anthropic": "/v1/messages",
    "google": "/v1beta/models/m:streamGenerateContent",
}
"""Where each kind asks; the others at OpenAI's own path."""


@pytest.fixture
def _no_collection() -> Iterator[None]:
    """What nobody closes stays open."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("_no_collection")
@pytest.mark.parametrize("kind", [*KEYS, "openai_compatible"])
def test_connection_is_closed_with_the_stream(kind: str) -> None:
    """The server sees it go while the engine is still open, though no garbage is collected."""
    first, _, _ = saying_in_pieces(kind, "one", "two").body.partition(b"two")

    async def stops_midway(exchange: Exchange) -> None:
        await exchange.send(head(200, "content-type: text/event-stream", "transfer-encoding: chunked"))
        await exchange.chunk(first)
        await exchange.stall()
        exchange.close()

    async def leave(server: HttpServer) -> None:
        described = engine_kinds()[kind]
        given = {"kind": kind, "base_url": server.url(PATHS.get(kind, "/v1"))}
        settings = described.settings.model_validate(given)
        async with described.create(settings, Model(name="m")) as engine:
            async with aclosing(chunks_of(engine, chat_request())) as pieces:
                assert await anext(pieces) == Chunk(text="one")
                assert server.open == 1
            await server.until(lambda server: server.open == 0)

    with HttpServer({ROUTES.get(kind, "/v1/chat/completions"): stops_midway}) as server:
        asyncio.run(leave(server))
