"""Turns a provider's HTTP error into the runner's: one of the three families, with its message."""

from __future__ import annotations

import re
import time
from email.utils import parsedate_to_datetime
from typing import Any, TypeAlias

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
from runner.secrets import Secrets

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What a decoder raises for a body that is not what it decodes."""
Told: TypeAlias = tuple[str, str | None, str | None]
"""Message, code and type, as a server says them."""
_LONGEST = 500
_TOO_LONG = re.compile(
    r"context_length_exceeded|context length|context window|context size|model's (maximum )?length"
    r"|max_model_len|longer than the maximum model length|prompt is too long|exceed_context_size"
    r"|exceed context limit|maximum prompt length|token count\b.*\b(exceeds the maximum|only supports up to)"
    # vLLM's, of a prompt that leaves no room for an answer.
    r"|max_(completion_|new_|output_)?tokens must be (at least 1|positive|greater than 0), got (0|-\d+)"
    r"(?![\d.]*\d)"
    r"|inputs? tokens? exceeds? (the|a) |too many (input )?tokens\b|exceeds max(imum)? length"
    r"|inputs?\W* (is too long|must have less than|tokens \+)|(input|prompt) (is )?too (long|large)"
    r"|(input|prompt) (sequence )?length\b.*\b(exceeds|longer than|greater than|cannot exceed|should be)"
    r"|exceeds the KV (cache|memory) budget|exceeded model token limit|string_above_max_length"
    r"|reduce the length of (the|your) (messages|prompt)|exceeds the maximum (number of )?tokens",
    re.IGNORECASE,
)
_NO_MODEL = re.compile(
    r"model_not_found|NotFoundError|unknown model|model\b.*\b(does not exist|not found|not supported)"
    r"|no such model|not a valid model|not_found_error model:|invalid_model\b|models/\S+ is not found",
    re.IGNORECASE,
)
_BAD_KEY = re.compile(
    r"API key (not valid|expired)|(incorrect|invalid)[ _-]?API[ _-]?key|login fail"
    r"|^[\W\d]*(not authenticated|unauthori[sz]ed|authentication (error|failed|required|fails))\b",
    re.IGNORECASE,
)
_UNSEEMLY = re.compile(
    r"violates (our )?usage|content[ _](filter|policy)|requires moderation|was flagged", re.IGNORECASE
)
"""What a provider finds fault with in a prompt, which xAI and OpenRouter refuse with a status of keys."""
_BROKE = re.compile(
    r"credit balance is too low|insufficient[ _](user[ _])?(quota|balance|credits?|funds)|in arrears"
    r"|arrearage"
    r"|(out of|no|not enough) (remaining )?(credits?|balance|funds)\b|payment (is )?required|recharge"
    r"|balance (is |has )?(been )?(not enough|not sufficient|insufficient|exhausted|used up|too low)"
    r"|(billing|spend(ing)?)( hard)? limit|余额不足|欠费"
    # Google calls a rate limit so too, and says when to come back.
    r"|^(?!.*(resource.?exhausted|rate.?limit|retry in|metric)).*exceeded your current quota",
    re.IGNORECASE,
)
_THROTTLED = re.compile(
    r"rate.?limit|too many (concurrent )?requests|throttl|quota|slow.?down|limit.?exceeded|速率|频率|并发"
    r"|\b(requests?|qps|[rt]p[ms]|concurren\w+)\b.{0,20}\b(limit|exceed|too (frequent|fast|many))",
    re.IGNORECASE,
)
_BUSY = frozenset({408, 409, 425})


def provider_error(status: int, body: bytes, retry_after: str | None, retry_after_ms: str | None) -> AskError:
    """Return the error that an answer with *status* stands for; its message is one line, not cut yet."""
    return error_of(status, _told(body), _wait(retry_after or asked_delay(body), retry_after_ms))


def report(error: AskError, secrets: Secrets) -> None:
    """Keep secrets out of what an error says.

    What fits a report is cut out only then: a secret that is cut first would be known no more.
    """
    error.message = reported(error.message, secrets)
    error.code = secrets.mask(error.code) if error.code else error.code


def reported(text: str, secrets: Secrets) -> str:
    """Return *text* without secrets, on one line, and then cut to what fits a report."""
    line = one_line(secrets.mask(text))
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"


def worded_status(words: str) -> int | None:
    """Return the status that an error without one would have had, where its words tell."""
    if any(known.search(words) for known in (_TOO_LONG, _NO_MODEL, _BAD_KEY, _BROKE)):
        return 400
    return 429 if _THROTTLED.search(words) else None


_DELAY = re.compile(rb'"retryDelay"\s*:\s*"(\d+(?:\.\d+)?)s"')


def asked_delay(body: bytes) -> str | None:
    """Return the seconds that an error asks to wait, which Google says in the body."""
    found = _DELAY.search(body)
    return found[1].decode() if found else None


def error_of(status: int, told: Told, wait: float | None = None) -> AskError:
    """Return the error that *status* and what a body says stand for."""
    message, code, kind = told
    message = message or _phrase(status)
    words = f"{code or ''} {kind or ''} {message}"
    return _class(status, words)(message, status=status, code=code, retry_after=wait)


def _class(status: int, words: str) -> type[AskError]:
    if status in {401, 403}:
        refused = status == 403 and _UNSEEMLY.search(words)  # noqa: PLR2004 - the number is the name
        return BadRequestError if refused else AuthenticationError
    if status in {402, 429}:
        # An account without credit is a matter neither of waiting nor of one row.
        broke = status == 402 or _BROKE.search(words)  # noqa: PLR2004 - the number is the name
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


def _told(body: bytes) -> Told:
    """Return message, code and type of an error body, whatever its form."""
    try:
        data: Any = msgspec.json.decode(body)
    except UNREADABLE:
        return one_line(body.decode("utf-8", "replace")), None, None
    told = words_of(data)
    if not told[0] and isinstance(data, dict) and data:
        return one_line(msgspec.json.encode(data).decode()), *told[1:]
    return told


def words_of(data: Any) -> Told:
    """Return message, code and type of what a server says of an error; without a message, an empty one."""
    if isinstance(data, list) and data:
        return words_of(data[0])
    if not isinstance(data, dict):
        return one_line(data if isinstance(data, str) else ""), None, None
    if inner := wrapped(data):
        return words_of(inner)
    said = next((data[name] for name in _MESSAGES if data.get(name) and not _is_flag(data[name])), "")
    if not isinstance(said, str):
        said = msgspec.json.encode(said).decode()
    code, kind = (next((data[name] for name in names if data.get(name)), None) for names in (_CODES, _TYPES))
    return one_line(said), _name(code), _name(kind)


_WRAPPERS = ("error", "base_resp", "errors", "Response", "Error", "header", "fault", "status")
_MESSAGES = (
    "message",
    "faultstring",
    "detail",
    "error_message",
    "error_msg",
    "error_description",
    "error",
    "msg",
    "errmsg",
    "status_msg",
    "err",
    "err_msg",
    "errMsg",
    "Message",
    "reason",
    "title",
)
_CODES = ("code", "error_code", "status_code", "Code", "statusCode", "errcode", "errorcode", "err_no")
_TYPES = ("type", "error_type", "status")


def _is_flag(value: Any) -> bool:
    """Tell whether a field says no more than that there is an error, as ``"error": true`` does."""
    return isinstance(value, bool | int | float)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and isinstance(value[0], dict))


def _name(value: Any) -> str | None:
    return str(value) if isinstance(value, str | int) and value != "" else None


def wrapped(data: Any) -> Any:
    """Return the part of an error body that speaks of the error, such as what ``base_resp`` holds."""
    if not isinstance(data, dict):
        return None
    return next((data[name] for name in _WRAPPERS if data.get(name) and _is_object(data[name])), None)


def one_line(text: str) -> str:
    """Return *text* on one line, whole: `reported` cuts it."""
    return " ".join(text.split())


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
