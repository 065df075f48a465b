"""Errors that come with a good status: instead of an answer, beside one, or in the midst of a stream."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from runner.engines.provider_errors import (
    UNREADABLE,
    asked_delay,
    error_of,
    one_line,
    worded_status,
    words_of,
    wrapped,
)
from runner.errors import AskError, ServerError

_CODES = ("code", "status", "status_code", "statusCode", "error_code", "http_code")
_NUMBERED: Mapping[str, Mapping[str, int]] = {
    # Those of MiniMax.
    "base_resp": {
        **dict.fromkeys(("1002", "1039", "1041", "2045", "2056"), 429),
        "1008": 402,
        **dict.fromkeys(("1004", "2049"), 401),
        **dict.fromkeys(("1026", "1027", "2013"), 400),
        **dict.fromkeys(("1000", "1001", "1013", "1024", "1033"), 500),
    },
    # Those of Zhipu.
    "error": {
        **dict.fromkeys(("1302", "1303", "1304", "1305", "1308"), 429),
        **dict.fromkeys(("1112", "1113"), 402),
        **dict.fromkeys(("1000", "1001", "1002", "1003", "1004"), 401),
    },
    # Those of Baidu.
    "error_code": {
        **dict.fromkeys(("4", "17", "18", "19", "336501", "336502", "336503"), 429),
        **dict.fromkeys(("100", "110", "111"), 401),
    },
}
"""Field of an error -> a provider's own numbers in it, and the HTTP status that each comes with."""
_NAMED = (
    (529, r"^overloaded(_error)?$"),
    (413, r"^request_too_large$"),
    (401, r"authenticat|unauthori[sz]ed|invalid.?api.?key"),
    (402, r"billing|insufficient.?(quota|balance)|arrear"),
    (403, r"permission|forbidden|access.?denied"),
    (429, r"rate.?limit|throttl|too.?many.?requests|resource.?exhausted"),
    (404, r"not.?found"),
    (400, r"(invalid|bad).?(request|param|argument|input|value)|validation|unsupported|unprocessable"),
    (504, r"^timeout_error$"),
    (500, r"^(api_error|internal_error|server_error)$"),
)
"""HTTP status -> names of errors, in codes and types, that come with it; the first that fits counts."""


def answered_error(body: bytes) -> AskError | None:
    """Return the error that a body with a good status tells of, of the whole or of a choice."""
    if b'"error' not in body:
        return None
    try:
        data = msgspec.json.decode(body)
    except UNREADABLE:
        return None
    return stated_error(data)


def stated_error(data: Any) -> AskError | None:
    """Return the error that decoded data calls one: a field ``error`` or ``error_...``, or its ``object``."""
    told = next(_tellers(data), None)
    return None if told is None else _error(told)


def implied_error(data: Any) -> AskError | None:
    """Return the error that data which is no answer tells of, where it has a message for whoever asked.

    A message that is an object is an answer in another API's form, and one like "success" is no error's.
    """
    if isinstance(data, dict) and isinstance(data.get("message"), dict):
        return None
    return _error(data) if _says_something(words_of(data)[0]) or _number(data) else None


def named_error(data: bytes) -> AskError:
    """Return the error that is all of *data*, such as that of an event named ``error``."""
    try:
        told = msgspec.json.decode(data)
    except UNREADABLE:
        told = one_line(data.decode("utf-8", "replace"))
    if told and not words_of(told)[0]:
        told = msgspec.json.encode(told).decode()
    return _error(told)


def _tellers(data: Any) -> Iterator[dict[str, Any]]:
    """Yield what of an answer has an error: itself, then its choices."""
    if isinstance(data, list) and len(data) == 1:
        (data,) = data
    if not isinstance(data, dict):
        return
    if data.get("object") == "error" or any(_tells(*field) for field in data.items()):
        yield data
    choices = data.get("choices")
    for one in choices if isinstance(choices, list) else ():
        if isinstance(one, dict) and one.get("error"):
            yield one


def _tells(name: str, value: Any) -> bool:
    """Tell whether a field says that there was an error; one of 0, or of no error, says there was none."""
    if name != "error" and not name.startswith("error_"):
        return False
    if isinstance(value, dict):
        return any(map(_says_something, value.values()))
    return _says_something(value)


def _says_something(value: Any) -> bool:
    return bool(value) and (not isinstance(value, str) or value.strip().lower() not in _NO_ERROR)


_NO_ERROR = frozenset({"", "0", "no error", "none", "null", "ok", "success"})


def _error(told: Any) -> AskError:
    words = words_of(told)
    names = " ".join(name for name in words[1:] if name)
    if status := _number(told) or _named(words[1:]):
        delay = asked_delay(msgspec.json.encode(told))
        return error_of(status, words, float(delay) if delay else None)
    if (status := worded_status(f"{names} {words[0]}")) is None:
        return ServerError(words[0] or "the server reports an error without a reason", code=words[1])
    error = error_of(status, words)
    error.status = None  # nobody sent it
    return error


def _number(told: Any) -> int | None:
    """Return the HTTP status that an error gives."""
    if not isinstance(told, dict):
        return None
    inner = wrapped(told)
    inner = inner[0] if isinstance(inner, list) else inner
    for one in (inner or {}, told):
        for name in _CODES:
            value = one.get(name)
            if isinstance(value, str) and re.fullmatch(r"[45]\d\d", value):
                value = int(value)
            if type(value) is int and 400 <= value < 600:  # noqa: PLR2004 - HTTP's errors
                return value
    return _own_number(told)


def _own_number(told: dict[str, Any]) -> int | None:
    """Return the HTTP status of a number that is the provider's own."""
    for field, statuses in _NUMBERED.items():
        value = told.get(field)
        if isinstance(value, dict):
            value = next((value[name] for name in ("status_code", "code") if name in value), None)
        if type(value) in {int, str} and (status := statuses.get(str(value))):
            return status
    return None


def _named(names: tuple[str | None, ...]) -> int | None:
    """Return the HTTP status of an error's code or type."""
    for status, pattern in _NAMED:
        if any(name and re.search(pattern, name, re.IGNORECASE) for name in names):
            return status
    return None
