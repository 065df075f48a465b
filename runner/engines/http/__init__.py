"""The HTTP client of every engine that speaks to a server: lean, asynchronous, HTTP/1.1 over libcurl.

libcurl does what HTTP needs (kept connections, TLS, proxies from the environment, compression,
time-outs); asyncio, or uvloop, only waits for one descriptor that stands for all its sockets.
"""

from runner.engines.http.client import HttpClient
from runner.engines.http.errors import (
    HttpClosed,
    HttpConnectError,
    HttpError,
    HttpReset,
    HttpTimeout,
    HttpTooLarge,
)
from runner.engines.http.stream import HttpStream
from runner.engines.http.values import Headers, HttpResponse

__all__ = [
    "Headers",
    "HttpClient",
    "HttpClosed",
    "HttpConnectError",
    "HttpError",
    "HttpReset",
    "HttpResponse",
    "HttpStream",
    "HttpTimeout",
    "HttpTooLarge",
]
