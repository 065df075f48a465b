"""Bodies that would fill the memory are refused, by every engine that speaks HTTP."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import subprocess
import sys
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from runner.engines.limits import Limiter
from runner.engines.registry import engine_kinds
from runner.engines.retrying import Retrying
from runner.errors import EngineUnreachableError, ResponseTooLargeError, RowError
from runner.spec import Model
from runner.values import Response
from tests.engines.asking_engines import chat_request
from tests.http_server import Behaviour, Exchange, HttpServer, answers, chunks, head
from tests.providers.test_every_fault import SERVERS, good
from tests.providers.wire import KEY, PATHS

KINDS = ("openai_compatible", "vllm", "fireworks", "openai", "together", "anthropic", "mistral", "google")
"""Of every way to a server one engine: an address, a server of weights, a preset, and each SDK."""
LIMIT = 100_000
JSON = "content-type: application/json"
EVENTS = "content-type: text/event-stream"
LARGE = json.dumps({"message": "x" * 2 * LIMIT}).encode()
BOMB = gzip.compress(b"a" * 64 * 1024 * 1024)


def _raw_deflate(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return stream.compress(data) + stream.flush()


ENCODED: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "Deflate": _raw_deflate,
    "gzip, deflate": lambda data: zlib.compress(gzip.compress(data)),
    "identity": bytes,
}


def _encoded(body: bytes, encodings: str, status: int = 200) -> Behaviour:
    return answers(body, status, JSON, f"content-encoding: {encodings}")


def _endless(piece: bytes, kind: str = JSON, status: int = 200) -> Behaviour:
    """Send *piece* again and again, until the client goes away."""

    async def behave(exchange: Exchange) -> None:
        await exchange.send(head(status, "transfer-encoding: chunked", kind))
        while True:
            await exchange.chunk(piece * 100)

    return behave


async def _until_closed(exchange: Exchange) -> None:
    await exchange.send(head(200, JSON, "connection: close") + LARGE)
    exchange.close()


TOO_LARGE: dict[str, Behaviour] = {
    "declared": answers(LARGE, 200, JSON),
    "chunked": chunks(LARGE[:LIMIT], LARGE[LIMIT:]),
    "until the connection ends": _until_closed,
    "error": answers(LARGE, 500, JSON),
    "refusal": answers(LARGE, 400, JSON),
    "endless": _endless(b"x"),
    "endless error": _endless(b"x", status=503),
    "endless line": _endless(b"data: ", EVENTS),
    "endless comments": _endless(b": alive\n\n", EVENTS),
    "gzip": _encoded(gzip.compress(LARGE), "gzip"),
    "gzip error": _encoded(gzip.compress(LARGE), "gzip", 500),
    "deflate": _encoded(zlib.compress(LARGE), "deflate"),
    "raw deflate": _encoded(_raw_deflate(LARGE), "deflate"),
    "gzip of gzip": _encoded(gzip.compress(BOMB), "gzip, gzip"),
    "bomb": _encoded(BOMB, "gzip"),
}


class Everywhere(dict[str, Behaviour]):
    """One behaviour for all paths."""

    def get(self, _path: str, _default: Any = None) -> Any:
        return self[""]


async def _answered(kind: str, port: int, *, stream: bool, limit: int) -> Response:
    given = {"base_url": f"http://127.0.0.1:{port}{PATHS.get(kind, '/v1')}", "stream": stream}
    given |= {"api_key_env": "A_KEY"} if kind in SERVERS else {}
    described = engine_kinds()[kind]
    settings = described.settings.model_validate({**given, "max_response_bytes": limit})
    async with Retrying(described.create(settings, Model(name="m")), 2, Limiter(4)) as engine:
        return await engine.generate(chat_request())


def _outcome(kind: str, behaviour: Behaviour, *, stream: bool = False, limit: int = LIMIT) -> Any:
    """Return the response or the error, and how many requests it took."""
    with HttpServer(Everywhere({"": behaviour})) as server:
        try:
            found: Any = asyncio.run(_answered(kind, server.port, stream=stream, limit=limit))
        except (RowError, EngineUnreachableError) as error:
            found = error
        return found, len(server.received)


@pytest.fixture(autouse=True)
def _key_of_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY", KEY)


@pytest.mark.parametrize("stream", [False, True], ids=["at once", "streamed"])
@pytest.mark.parametrize(("kind", "body"), [(kind, body) for kind in KINDS for body in TOO_LARGE])
def test_body_over_the_limit_fails_its_row(kind: str, body: str, stream: bool) -> None:
    """However it is framed or compressed, whatever its status; it is not requested again."""
    error, requests = _outcome(kind, TOO_LARGE[body], stream=stream)

    assert type(error) is ResponseTooLargeError
    assert "engine.max_response_bytes (100,000 bytes)" in error.message
    assert "http://127.0.0.1:" in error.message
    assert requests == 1


@pytest.mark.parametrize("kind", ["openai_compatible", "openai", "together"])
def test_endless_stream_of_good_events_fails_its_row(kind: str) -> None:
    """All events of one response count together."""
    event = json.dumps({"choices": [{"index": 0, "delta": {"content": "x"}}]}).encode()

    error, requests = _outcome(kind, _endless(b"data: %s\n\n" % event, EVENTS), stream=True)

    assert (type(error), requests) == (ResponseTooLargeError, 1)


@pytest.mark.parametrize("encodings", ENCODED)
@pytest.mark.parametrize("kind", KINDS)
def test_compressed_body_within_the_limit_is_read(kind: str, encodings: str) -> None:
    """Every encoding that requests accept, and chains of them."""
    body = ENCODED[encodings](json.dumps(good(kind, "chat", LIMIT // 2)).encode())

    found, _ = _outcome(kind, _encoded(body, encodings))

    assert isinstance(found, Response)
    assert found.text == "x" * (LIMIT // 2)


@pytest.mark.parametrize("kind", KINDS)
def test_requests_accept_no_other_encodings(kind: str) -> None:
    """An SDK's own list has those that its packages can't decode in steps."""
    body = json.dumps(good(kind, "chat")).encode()
    with HttpServer(Everywhere({"": answers(body, 200, JSON)})) as server:
        asyncio.run(_answered(kind, server.port, stream=False, limit=LIMIT))

        assert server.received[0].headers["accept-encoding"] == "gzip, deflate"


BROKEN = {
    "unknown encoding": _encoded(b"abc", "br"),
    "other encoding": _encoded(b"not compressed", "gzip"),
    "cut": _encoded(gzip.compress(LARGE)[:-9], "gzip"),
    "trailing": _encoded(gzip.compress(b"{}") + b"junk", "gzip"),
    "too many": _encoded(b"", ", ".join(["gzip"] * 6)),
}


@pytest.mark.parametrize("body", BROKEN)
@pytest.mark.parametrize("kind", ["openai_compatible", "openai", "together", "mistral"])
def test_body_that_cannot_be_decoded_is_a_broken_connection(kind: str, body: str) -> None:
    """It may be an accident of the network: it is requested again."""
    error, requests = _outcome(kind, BROKEN[body], limit=10 * LIMIT)

    assert isinstance(error, EngineUnreachableError)
    assert requests == 2


@pytest.fixture(scope="module")
def large_bomb() -> bytes:
    """A gzip body of 700 KB that holds 700 MB."""
    stream = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    return b"".join([*(stream.compress(b"a" * 1_000_000) for _ in range(700)), stream.flush()])


_CHILD = """
import asyncio, re, sys
from pathlib import Path
from tests.providers.test_response_limits import KINDS, _answered
for kind in KINDS:
    for stream in (False, True):
        try:
            asyncio.run(_answered(kind, int(sys.argv[1]), stream=stream, limit=1_000_000_000))
        except Exception as error:
            print(type(error).__name__, error)
# ru_maxrss would count the memory of the process that forked this one.
print(int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024)
"""


def test_bomb_takes_little_memory_at_the_default_limit() -> None:
    """What decompresses as no text does is refused long before the limit, by every engine."""
    stream = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    bomb = b"".join([*(stream.compress(b"a" * 1_000_000) for _ in range(900)), stream.flush()])
    with HttpServer(Everywhere({"": _encoded(bomb, "gzip")})) as server:
        done = subprocess.run(
            [sys.executable, "-c", _CHILD, str(server.port)],
            env={**os.environ, "A_KEY": KEY},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )

    *errors, mebibytes = done.stdout.splitlines()
    assert len(errors) == 2 * len(KINDS)
    assert all(error.startswith("ResponseTooLargeError ") for error in errors)
    assert all("more than 500 times its size" in error for error in errors)
    assert int(mebibytes) < 600  # all SDKs with it


async def _endless_head(exchange: Exchange) -> None:
    await exchange.send(b"HTTP/1.1 200 X\r\n")
    while True:
        await exchange.send(b"x-more: yes\r\n" * 1000)


async def _endless_header(exchange: Exchange) -> None:
    await exchange.send(b"HTTP/1.1 200 X\r\nx-long: ")
    while True:
        await exchange.send(b"x" * 100_000)


async def _endless_trailers(exchange: Exchange) -> None:
    await exchange.send(head(200, "transfer-encoding: chunked", JSON) + b"2\r\n{}\r\n0\r\n")
    while True:
        await exchange.send(b"x-more: yes\r\n" * 1000)


async def _endless_informational(exchange: Exchange) -> None:
    while True:
        await exchange.send(head(103, "x: early") * 100)


@pytest.mark.parametrize(
    ("kind", "behaviour"),
    [
        ("openai_compatible", _endless_head),
        ("openai_compatible", _endless_header),
        ("openai_compatible", _endless_trailers),
        ("openai_compatible", _endless_informational),
        ("openai", _endless_head),
        ("openai", _endless_header),
        ("openai", _endless_trailers),
    ],
)
def test_endless_head_ends(kind: str, behaviour: Behaviour) -> None:
    """No part of a response that isn't its body goes on for ever either."""
    error, _ = _outcome(kind, behaviour)

    assert isinstance(error, (EngineUnreachableError, RowError))
