"""What an answer with an HTTP error, or with a redirect, means."""

from __future__ import annotations

import re
from http import HTTPStatus

from runner.engines.openai_endpoint import Endpoint, Head
from runner.engines.provider_errors import provider_error
from runner.engines.redirects import is_redirect, redirect_error
from runner.errors import AskError, BadRequestError, EngineError, UnknownModelError

_LACKS_PATHS = "base_url often ends in /v1, and a server that was started for another task lacks some paths"

MAX_TOKENS_FIELDS = ("max_tokens", "max_completion_tokens")

_UNTAKEN = re.compile(
    r"not support|unsupported|unknown|unrecogni[sz]ed|unexpected|not (allowed|permitted|valid)|instead|extra",
    re.IGNORECASE,
)

# As numbers: looking a member of HTTPStatus up takes a hundredth of a request.
_GOOD, _NOT_GOOD = int(HTTPStatus.OK), int(HTTPStatus.MULTIPLE_CHOICES)


def is_good(status: int) -> bool:
    """Tell whether a status says that an answer follows."""
    return _GOOD <= status < _NOT_GOOD


def refusal(endpoint: Endpoint, url: str, answer: Head, body: bytes) -> AskError:
    """Return the error for an answer whose status is not good."""
    if is_redirect(answer.status):
        return redirect_error(answer.status, url, answer.header("location"), _base_of(url, endpoint.base_url))
    waits = answer.header("retry-after"), answer.header("retry-after-ms")
    error = provider_error(answer.status, body, *waits)
    if type(error) not in {BadRequestError, UnknownModelError}:
        return error
    if other := other_spelling(endpoint.max_tokens_field, error.message):
        told = f"{error.message} (set engine.max_tokens_field={other})"
        return EngineError(told, error.status, error.code)
    if answer.status == HTTPStatus.NOT_FOUND and type(error) is BadRequestError:
        base = endpoint.base_url
        hint = _LACKS_PATHS if re.search(r"/v\d", base) else f"{_LACKS_PATHS}: try engine.base_url={base}/v1"
        error.message = f"{error.message} ({url}; {hint})"
    return error


def _base_of(url: str, base: str) -> str:
    """Return what *url* begins with; the routes of some tasks replace the base's /v1."""
    return base if url.startswith(f"{base}/") else base.removesuffix("/v1")


def other_spelling(sent: str | None, message: str) -> str | None:
    """Return the field that a server wants in place of the one *sent* for max_tokens."""
    if sent is None or not _UNTAKEN.search(message):
        return None
    other = MAX_TOKENS_FIELDS[0] if sent == MAX_TOKENS_FIELDS[1] else MAX_TOKENS_FIELDS[1]
    names_other = re.search(rf"\b{other}\b", message) is not None
    names_sent = re.search(rf"\b{sent}\b", message) is not None
    return other if names_other or (names_sent and sent != "max_tokens") else None
