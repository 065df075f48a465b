"""The HTTP client under SDKs that take one of ours; imported only with one of them."""

from __future__ import annotations

from typing import Any

import httpx2

from runner.engines.sdk import CONNECT_SECONDS
from runner.engines.sdk_bodies import limited_bodies


class BoundedHttp(httpx2.AsyncClient):
    """Limits the time to connect, where an SDK would set each request's time-outs to none, and the bodies."""

    def __init__(self, max_response_bytes: int) -> None:
        super().__init__(
            timeout=httpx2.Timeout(None, connect=CONNECT_SECONDS),
            limits=httpx2.Limits(max_connections=None),
            **limited_bodies(httpx2.AsyncByteStream, max_response_bytes),
        )

    def build_request(self, method: str, url: Any, **how: Any) -> httpx2.Request:
        return super().build_request(method, url, **{**how, "timeout": self.timeout})
