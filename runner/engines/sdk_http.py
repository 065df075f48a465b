"""The HTTP client under SDKs that take one of ours; imported only with one of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any

import httpx2

from runner.engines.sdk import CONNECT_SECONDS
from runner.engines.sdk_bodies import limited_bodies


class TakenError(Exception):
    """Raised past an SDK with a good response, which it is not to read."""

    def __init__(self, response: httpx2.Response) -> None:
        super().__init__("a good response")
        self.response = response


class BoundedHttp(httpx2.AsyncClient):
    """Limits bodies, and the time to connect, where an SDK would set each request's time-outs to none.

    A good response is raised as `TakenError`: an SDK's types refuse answers for fields that don't matter, and
    drop what they don't know. See `taken`.
    """

    def __init__(self, max_response_bytes: int) -> None:
        super().__init__(
            timeout=httpx2.Timeout(None, connect=CONNECT_SECONDS),
            limits=httpx2.Limits(max_connections=None),
            **limited_bodies(httpx2.AsyncByteStream, max_response_bytes),
        )

    def build_request(self, method: str, url: Any, **how: Any) -> httpx2.Request:
        return super().build_request(method, url, **{**how, "timeout": self.timeout})

    async def send(self, request: httpx2.Request, **how: Any) -> httpx2.Response:
        response = await super().send(request, **how)
        if response.is_success:
            raise TakenError(response)
        await response.aread()  # an SDK's error looks at the text, even of a stream that has none
        return response


@asynccontextmanager
async def taken(sending: Awaitable[object]) -> AsyncIterator[httpx2.Response]:
    """Have an SDK send a request over a `BoundedHttp`; yield the good response as it came, and close it."""
    try:
        made = await sending
    except TakenError as error:
        response = error.response
    else:
        raise AssertionError(f"the SDK made {made!r} of a response that it was not to see")
    try:
        yield response
    finally:
        await response.aclose()
