"""What can go wrong between this process and a server, in the words of libcurl.

HttpError
├── HttpConnectError   no connection: refused, not in time, unknown host, TLS, proxy
├── HttpTimeout        no complete answer in time
├── HttpReset          the connection ended, or broke the protocol, before the answer was complete
├── HttpTooLarge       the response exceeds its limit, or is compressed as no text is
└── HttpClosed         the client was closed, or is not open

An answer with an error status is none of these: it is an `HttpResponse`.
"""

from __future__ import annotations

import re

import pycurl

_USER = re.compile(r"//[^/\s@']*@")
_QUERY = re.compile(r"[?#].*", re.DOTALL)


class HttpError(Exception):
    """A request that got no complete answer.

    Attributes:
        url: what was asked, without user, password and query, any of which may hold a key.
        reason: what libcurl says of it.
    """

    def __init__(self, url: str, reason: str) -> None:
        self.url = _USER.sub("//", _QUERY.sub("", url))
        self.reason = _USER.sub("//", reason)
        super().__init__(self.url, self.reason)

    def __str__(self) -> str:
        return f"{self.url}: {self.reason}"


class HttpConnectError(HttpError):
    """No connection to the server: refused, not had in time, unknown host, TLS or proxy."""


class HttpTimeout(HttpError):  # noqa: N818 - the family's name says error, the member's what happened
    """A connection, but no complete answer within the time allowed."""


class HttpReset(HttpError):  # noqa: N818
    """The connection ended, or broke the protocol, before the answer was complete."""


class HttpTooLarge(HttpError):  # noqa: N818
    """The response exceeds `HttpClient`'s *max_response_bytes*, or is compressed as no text is."""


class HttpClosed(HttpError):  # noqa: N818
    """The client was closed while the request was in flight, or is not open."""


type_of_code: dict[int, type[HttpError]] = {
    pycurl.E_OPERATION_TIMEDOUT: HttpTimeout,
    pycurl.E_COULDNT_RESOLVE_PROXY: HttpConnectError,
    pycurl.E_COULDNT_RESOLVE_HOST: HttpConnectError,
    pycurl.E_COULDNT_CONNECT: HttpConnectError,
    pycurl.E_INTERFACE_FAILED: HttpConnectError,
    pycurl.E_SSL_CONNECT_ERROR: HttpConnectError,
    pycurl.E_SSL_CERTPROBLEM: HttpConnectError,
    pycurl.E_SSL_CIPHER: HttpConnectError,
    pycurl.E_SSL_ISSUER_ERROR: HttpConnectError,
    pycurl.E_SSL_INVALIDCERTSTATUS: HttpConnectError,
    pycurl.E_SSL_CACERT_BADFILE: HttpConnectError,
    pycurl.E_PEER_FAILED_VERIFICATION: HttpConnectError,
    97: HttpConnectError,  # CURLE_PROXY, the handshake with a proxy: pycurl has no name for it
    pycurl.E_FILESIZE_EXCEEDED: HttpTooLarge,
    100: HttpTooLarge,  # CURLE_TOO_LARGE, a header line of more than 100 KB: pycurl has no name for it
    pycurl.E_URL_MALFORMAT: HttpError,
    pycurl.E_OUT_OF_MEMORY: HttpError,
    pycurl.E_FAILED_INIT: HttpError,
}
CLOSED = (-1, "the client was closed while the request was in flight")
type_of_code[CLOSED[0]] = HttpClosed
CUT_HEAD = (pycurl.E_PARTIAL_FILE, "the connection ended within the head of the answer")
"""What libcurl takes for the end of an answer without a body."""


def http_error(url: str, code: int, reason: str, *, connected: bool = True) -> HttpError:
    """The error that libcurl's result *code* means; what is not named here ended a connection."""
    kind = type_of_code.get(code, HttpReset)
    if kind is HttpTimeout and not connected:
        kind = HttpConnectError
    return kind(url, reason or pycurl.easy_strerror(code))
