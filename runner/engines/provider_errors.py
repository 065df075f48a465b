"""Turns a provider's HTTP error into the runner's: one of the three families, with its message."""

from __future__ import annotations

import re
import time
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from runner.errors import (
    AskError,
    AuthenticationError,
    BadRequestError,
    ContextLengthError,
    EngineError,
    RateLimitError,
    ServerError,
    UnknownModelError,
)

_LONGEST = 500
_TOO_LONG = re.compile(
    r"context_length_exceeded|context length|context window|context size|model's (maximum )?length"
    r"|max_model_len|longer than the maximum model length|prompt is too long|exceed_context_size"
    r"|exceed context limit|token count\b.*\bexceeds the maximum",
    re.IGNORECASE,
)
_NO_MODEL = re.compile(
    r"model_not_found|NotFoundError|unknown model|model\b.*\b(does not exist|not found|not supported)"
    r"|no such model|not a valid model|not_found_error model:|invalid_model\b|models/\S+ is not found",
    re.IGNORECASE,
)
_BAD_KEY = re.compile(r"API key (not valid|expired)", re.IGNORECASE)
_BROKE = re.compile(r"credit balance is too low", re.IGNORECASE)
_BUSY = frozenset({408, 409, 425})


def provider_error(status: int, body: bytes, retry_after: str | None, retry_after_ms: str | None) -> AskError:
    """Return the error that an answer with *status* stands for; its message is one line."""
    message, code, kind = _told(body)
    message = message or _phrase(status)
    words = f"{code or ''} {kind or ''} {message}"
    wait = _wait(retry_after, retry_after_ms)
    return _class(status, words)(message, status=status, code=code, retry_after=wait)


def answered_error(body: bytes) -> AskError | None:
    """Return the error that a gateway tells of in an answer with status 200, if it does."""
    if b'"error"' not in body:
        return None
    try:
        data = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    error = data.get("error") if isinstance(data, dict) else None
    if not error:
        return None
    code = error.get("code") if isinstance(error, dict) else None
    status = code if isinstance(code, int) and 400 <= code < 600 else 500  # noqa: PLR2004 - HTTP's errors
    return provider_error(status, body, None, None)


def _class(status: int, words: str) -> type[AskError]:
    if status in {401, 403}:
        return AuthenticationError
    if status in {402, 429}:
        # An account without credit is a matter neither of waiting nor of one row.
        broke = status == 402 or "insufficient_quota" in words  # noqa: PLR2004 - the number is the name
        return EngineError if broke else RateLimitError
    if status >= 500 or status in _BUSY:  # noqa: PLR2004 - the number is the name
        return ServerError
    return _worded(status, words)


def _worded(status: int, words: str) -> type[AskError]:
    """Return the class of a refusal that only its words tell: some providers send 400 for all of them."""
    if _TOO_LONG.search(words):
        return ContextLengthError
    if _NO_MODEL.search(words) and status in {400, 404}:
        return UnknownModelError
    if _BAD_KEY.search(words):
        return AuthenticationError
    return EngineError if _BROKE.search(words) else BadRequestError


def _told(body: bytes) -> tuple[str, str | None, str | None]:
    """Return message, code and type of an error body, whatever its form."""
    try:
        data: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return one_line(body.decode("utf-8", "replace")), None, None
    return _fields(data)


def _fields(data: Any) -> tuple[str, str | None, str | None]:
    if isinstance(data, list) and data:
        return _fields(data[0])
    if not isinstance(data, dict):
        return one_line(data if isinstance(data, str) else ""), None, None
    inner = data.get("error")
    if isinstance(inner, dict):
        return _fields(inner)
    said = next((data[name] for name in ("message", "detail", "error", "msg") if data.get(name)), data)
    if not isinstance(said, str):
        said = msgspec.json.encode(said).decode()
    code, kind = data.get("code"), data.get("type")
    return one_line(said), _name(code), _name(kind)


def _name(value: Any) -> str | None:
    return str(value) if isinstance(value, str | int) and value != "" else None


def one_line(text: str) -> str:
    """Return *text* on one line, cut to what fits a report."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"


def _phrase(status: int) -> str:
    from http import HTTPStatus

    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "the server gave no reason"


def _wait(seconds: str | None, milliseconds: str | None) -> float | None:
    """Return how long the server asks to wait: seconds, or until a date."""
    for text, scale in ((milliseconds, 1000.0), (seconds, 1.0)):
        if text and re.fullmatch(r"\s*\d+(\.\d+)?\s*", text):
            return float(text) / scale
    if not seconds:
        return None
    try:
        date = parsedate_to_datetime(seconds)
    except ValueError:
        return None
    return max(0.0, date.timestamp() - time.time())
