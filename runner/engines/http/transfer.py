"""One request on its way: a libcurl handle, used again and again, and what it has received."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

import pycurl

from runner import __version__
from runner.engines.decoding import ACCEPTED, BodyDecoder, TooLargeError, UndecodableError, too_large
from runner.engines.http.errors import CUT_HEAD, HttpError, HttpReset, HttpTooLarge, http_error
from runner.engines.http.values import HttpResponse, find_header, is_whole

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Iterator

    from runner.engines.http.values import Headers

Fault: TypeAlias = tuple[int, str]

SUPPRESS_CONNECT_HEADERS = 265  # pycurl has no name for it
RECEIVE_BYTES = 128 * 1024
KEPT_BODY_BYTES = 64 * 1024
LIMITS_BODIES = 0x080400
"""The version of libcurl from which on MAXFILESIZE ends any transfer that passes it."""


class Transfer:
    """A libcurl handle for requests of one method; its options are set again only where they change.

    Attributes:
        curl: the handle. What it has received belongs here and not on it: setting an attribute of
            a handle ends in a dict that is searched last, after an error was raised and caught.
        url: of the present request.
    """

    __slots__ = ("_headers", "_left", "_limit", "_sends_body", "_sent", "_timeout", "curl", "url")

    def __init__(self, method: str, connect_timeout: float, proxy: bool, limit: int) -> None:
        self.curl = curl = pycurl.Curl()
        self.url = ""
        self._headers: Headers | None = None
        self._timeout = 0.0
        self._sent = 0
        self._limit = self._left = limit
        self._sends_body = method not in {"GET", "HEAD"}
        if method == "HEAD":
            curl.setopt(pycurl.NOBODY, 1)
        elif self._sends_body:
            curl.setopt(pycurl.POST, 1)
            if method != "POST":
                curl.setopt(pycurl.CUSTOMREQUEST, method)
        curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
        curl.setopt(pycurl.USERAGENT, f"llm-runner/{__version__}")
        curl.setopt(pycurl.ENCODING, ACCEPTED)
        curl.setopt(pycurl.HTTP_CONTENT_DECODING, 0)  # see runner.engines.decoding
        curl.setopt(pycurl.MAXFILESIZE_LARGE, limit)  # tells from Content-Length, before the body comes
        curl.setopt(pycurl.CONNECTTIMEOUT_MS, max(1, int(connect_timeout * 1000)))
        curl.setopt(pycurl.TCP_KEEPALIVE, 1)  # an answer may take longer than a NAT remembers
        curl.setopt(pycurl.BUFFERSIZE, RECEIVE_BYTES)
        curl.setopt(pycurl.NOSIGNAL, 1)
        curl.setopt(SUPPRESS_CONNECT_HEADERS, 1)
        if not proxy:
            curl.setopt(pycurl.NOPROXY, "*")

    def prepare(self, url: str, headers: Headers, body: bytes, timeout: float) -> None:
        """Sets what belongs to one request."""
        self._left = self._limit
        if body and not self._sends_body:
            raise ValueError("a GET or HEAD request has no body")
        if url != self.url:
            self._set_url(url)
        if headers is not self._headers:
            self.curl.setopt(pycurl.HTTPHEADER, headers.lines)
            self._headers = headers
        if timeout != self._timeout:
            self.curl.setopt(pycurl.TIMEOUT_MS, max(1, int(timeout * 1000)))
            self._timeout = timeout
        if self._sends_body:
            self.curl.setopt(pycurl.POSTFIELDS, body)
            self._sent = len(body)

    def _set_url(self, url: str) -> None:
        if url.startswith("https://"):
            for option, path in certificates().items():
                self.curl.setopt(option, path)
        elif not url.startswith("http://"):
            raise ValueError(f"a URL starts with http:// or https://, got {url.partition(':')[0]!r}")
        self.curl.setopt(pycurl.URL, url.encode())
        self.url = url

    def settle(self, fault: Fault | None) -> None:
        """Called once for each start: the transfer is over, with libcurl's *fault* or without."""
        raise NotImplementedError

    def error(self, fault: Fault) -> HttpError:
        """The error that a *fault* of this transfer means."""
        # Something of the request was sent: a connection was had, new or kept, TLS included. That is
        # all that tells: a kept one has no time of connecting, a failed one has one of starting.
        connected = self.curl.getinfo(pycurl.REQUEST_SIZE) > 0
        if self._left < 0 or fault[0] == pycurl.E_FILESIZE_EXCEEDED:
            return HttpTooLarge(self.url, too_large(self._limit))
        return http_error(self.url, *fault, connected=connected)

    def decoder(self, head: bytes) -> BodyDecoder | None:
        """Return what decodes the body after *head*; None where it isn't encoded."""
        if b"content-encoding" not in head.lower():
            return None
        with self.decoding():
            return BodyDecoder(find_header(head, "content-encoding"), self._limit)

    @contextmanager
    def decoding(self) -> Iterator[None]:
        """Turn what a `BodyDecoder` raises into an `HttpError`."""
        try:
            yield
        except TooLargeError as error:
            raise HttpTooLarge(self.url, str(error)) from None
        except UndecodableError as error:
            raise HttpReset(self.url, str(error)) from None

    def close(self) -> None:
        self.curl.close()


class WholeTransfer(Transfer):
    """Collects a whole answer before anybody is told.

    Attributes:
        future: set before each start; its result is the fault that ended the transfer, or None.
    """

    __slots__ = ("_chunks", "_lines", "future")

    future: Future[Fault | None]

    def __init__(self, method: str, connect_timeout: float, proxy: bool, limit: int) -> None:
        super().__init__(method, connect_timeout, proxy, limit)
        self._chunks: list[bytes] = []
        self._lines: list[bytes] = []
        limited = pycurl.version_info()[2] >= LIMITS_BODIES
        self.curl.setopt(pycurl.WRITEFUNCTION, self._chunks.append if limited else self._receive)
        self.curl.setopt(pycurl.HEADERFUNCTION, self._lines.append)

    def _receive(self, data: bytes) -> int | None:
        self._left -= len(data)
        if self._left < 0:
            return -1
        self._chunks.append(data)
        return None

    def settle(self, fault: Fault | None) -> None:
        if not self.future.done():
            self.future.set_result(fault)

    def answer(self, fault: Fault | None) -> HttpResponse:
        """The complete answer, of which the handle keeps nothing; an `HttpError` if there is a *fault*."""
        if fault is not None:
            raise self.error(fault)
        head = b"".join(self._lines)
        if not is_whole(head):
            raise self.error(CUT_HEAD)
        answer = HttpResponse(self.curl.getinfo(pycurl.RESPONSE_CODE), self._body(head), head)
        self._chunks.clear()
        self._lines.clear()
        if self._sent > KEPT_BODY_BYTES:
            self.curl.setopt(pycurl.POSTFIELDS, b"")
        return answer

    def _body(self, head: bytes) -> bytes:
        if (decoder := self.decoder(head)) is None:
            return self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        with self.decoding():
            return decoder.decode(self._chunks)


def certificates() -> dict[int, str]:
    """Options of libcurl for whom to trust: SSL_CERT_FILE and SSL_CERT_DIR, else certifi's bundle."""
    file = os.environ.get("SSL_CERT_FILE")
    folder = os.environ.get("SSL_CERT_DIR")
    if not file and not folder:
        import certifi  # takes 30 ms, and plain HTTP does without

        file = certifi.where()
    options: dict[int, str] = {}
    if file:
        options |= {pycurl.CAINFO: file, pycurl.PROXY_CAINFO: file}
    if folder:
        options |= {pycurl.CAPATH: folder, pycurl.PROXY_CAPATH: folder}
    return options
