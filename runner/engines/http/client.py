"""The client: what the engines call."""

from __future__ import annotations

from asyncio import Semaphore
from collections import defaultdict
from contextlib import asynccontextmanager, closing, nullcontext
from itertools import chain
from typing import TYPE_CHECKING, Self

from runner.engines.decoding import DEFAULT_MAX_BYTES
from runner.engines.http.driver import Driver
from runner.engines.http.errors import HttpClosed
from runner.engines.http.stream import HttpStream, StreamedTransfer
from runner.engines.http.transfer import WholeTransfer
from runner.engines.http.values import Headers, HttpResponse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from types import TracebackType


class HttpClient:
    """HTTP/1.1 over kept connections. Enter it in the event loop that uses it; one for each loop.

    An answer is an `HttpResponse` whatever its status; what is no complete answer is an `HttpError`.
    Redirects are not followed. Proxies come from ``http_proxy``, ``https_proxy``, ``all_proxy``
    and ``no_proxy``, trusted certificates from ``SSL_CERT_FILE`` and ``SSL_CERT_DIR``, else certifi.
    Cancelling a request ends it and closes its connection.
    """

    def __init__(
        self,
        *,
        connections: int = 0,
        connect_timeout: float = 10.0,
        proxy: bool = True,
        max_response_bytes: int = DEFAULT_MAX_BYTES,
    ) -> None:
        """Sets what holds for all requests.

        Args:
            connections: requests at once; others wait for their turn, without their time running.
                0 is no limit.
            connect_timeout: seconds to have a connection; counted in the time of the request.
            proxy: ask through the environment's proxies.
            max_response_bytes: a response whose body is larger, decoded or not, is an `HttpTooLarge`.
        """
        self._connections = connections
        self._terms = (connect_timeout, proxy, max_response_bytes)
        self._turns = Semaphore(connections) if connections else None
        self._idle: defaultdict[str, list[WholeTransfer]] = defaultdict(list)
        self._driver: Driver | None = None

    async def __aenter__(self) -> Self:
        self._driver = Driver(self._connections)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes every connection; a request still in flight raises `HttpClosed`."""
        driver, self._driver = self._driver, None
        if driver is not None:
            driver.close()
        for transfer in chain.from_iterable(self._idle.values()):
            transfer.close()
        self._idle.clear()

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Sequence[str] | Headers,
        body: bytes = b"",
        timeout: float,  # noqa: ASYNC109 - libcurl keeps this time, a cancelled task would not say where it went
    ) -> HttpResponse:
        """The answer to one request.

        Args:
            method: in capitals; GET and HEAD take no body.
            url: starts with ``http://`` or ``https://``.
            headers: lines as ``Name: value``, or a `Headers` made of them once, which is faster.
            body: sent as it is; of which type, is for *headers* to say.
            timeout: seconds until the answer is complete.
        """
        fields = headers if isinstance(headers, Headers) else Headers(headers)
        if self._turns is not None:
            await self._turns.acquire()
        try:
            driver = self._open_driver(url)
            idle = self._idle[method]
            transfer = idle.pop() if idle else WholeTransfer(method, *self._terms)
            try:
                transfer.prepare(url, fields, body, timeout)
                transfer.future = driver.loop.create_future()
                driver.start(transfer)
                answer = transfer.answer(await transfer.future)
            except BaseException:
                driver.stop(transfer)
                transfer.close()
                raise
            idle.append(transfer)
            return answer
        finally:
            if self._turns is not None:
                self._turns.release()

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        url: str,
        *,
        headers: Sequence[str] | Headers,
        body: bytes = b"",
        timeout: float,  # noqa: ASYNC109
    ) -> AsyncIterator[HttpStream]:
        """An answer to be read while it arrives; takes what `request` takes.

        *timeout* is for the whole answer. Leaving early ends the request and closes its connection.
        """
        fields = headers if isinstance(headers, Headers) else Headers(headers)
        async with self._turns or nullcontext():
            driver = self._open_driver(url)
            with closing(StreamedTransfer(method, *self._terms)) as transfer:
                transfer.prepare(url, fields, body, timeout)
                driver.start(transfer)
                try:
                    await transfer.opened()
                    yield HttpStream(transfer)
                finally:
                    driver.stop(transfer)

    def _open_driver(self, url: str) -> Driver:
        if self._driver is None:
            raise HttpClosed(url, "the client is not open")
        return self._driver
