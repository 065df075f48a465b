"""What tests of the HTTP client share: both event loops, one way to post, servers that echo or stall."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

import pytest
import uvloop

from runner.engines.http import Headers, HttpClient, HttpResponse
from tests.http_server import Exchange, head

Run: TypeAlias = Callable[[Coroutine[Any, Any, Any]], Any]
HEADERS = Headers(["Authorization: Bearer secret-value"])
both_loops = pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])


async def post(client: HttpClient, url: str, body: bytes = b"{}", timeout: float = 20.0) -> HttpResponse:  # noqa: ASYNC109
    return await client.request("POST", url, headers=HEADERS, body=body, timeout=timeout)


async def echo(exchange: Exchange) -> None:
    await exchange.answer(exchange.request.body)


async def stalls_in_body(exchange: Exchange) -> None:
    await exchange.send(head(200, "content-length: 10") + b"half")
    await exchange.stall()
