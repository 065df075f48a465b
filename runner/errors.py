"""Every error that the runner raises on purpose.

RunnerError
├── UserError                  the user's mistake: exit code 2, nothing written
│   ├── ConfigError            faults of a config, all of them together
│   └── InputChangedError      an input is no longer what it was when its run was launched
├── EngineError                the job stops, its rows stay missing; 402: no credit left
│   ├── AuthenticationError    401, 403
│   ├── UnknownModelError      the engine does not serve the model
│   ├── EngineUnreachableError connection gone after all retries
│   ├── EngineFailingError     nothing was ever answered, and twenty requests failed in all attempts
│   └── EngineStartError       the engine could not be started
├── RowError                   final for one row: recorded, not asked again
│   ├── BadRequestError        400 and other 4xx; 403 for what a prompt says
│   │   └── UnservableRequestError  500 to each attempt of a request with a constraint
│   ├── ContextLengthError     the prompt does not fit the model's context
│   ├── RenderError            a template failed on this row, or filled in what can't be sent
│   ├── InputError             what a method of an LLM was given is no input for it; a ValueError too
│   ├── MalformedError         two answers in a row, or that to the last attempt, were malformed
│   ├── ScorerError            a scorer failed on an answer, or took too long
│   ├── CheckError             whether an answer obeys its constraint could not be told in time
│   ├── ResponseTooLargeError  the body exceeds engine.max_response_bytes, or is compressed as no text is
│   └── IncompleteResponseError  the answer lacks what was asked (n, a forced call)
│       └── MissingLogprobsError  log probabilities of its tokens
└── RetryableError             asked again, up to engine.max_attempts
    ├── RateLimitError         429
    ├── ServerError            5xx, 408, 409; an answer that says that the server failed
    ├── RequestTimeoutError    no answer within engine.timeout, or the timeout of a call
    ├── ConnectionFailedError  refused, not had in time, reset, cut in mid-body or in mid-stream
    └── MalformedResponseError 2xx, but not what the API documents; asked again once

A `RunnerError` that reaches the command line is printed as one message; any other
exception is a bug and keeps its traceback.
"""

from __future__ import annotations

import errno
import re
from dataclasses import dataclass, field

from runner.terminal import escape

UNWRITABLE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO})
"""Errors of the system's that no file can be written with, whoever asks."""

EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE})
"""Errors of a process, or a system, that has as many files open as it may."""


class RunnerError(Exception):
    """Base of everything raised on purpose; its text is fit for a terminal, whatever it quotes."""

    exit_code = 1

    def __str__(self) -> str:
        return escape(super().__str__())


class UserError(RunnerError):
    """What the user gave can't be done; nothing was written or launched."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a config.

    Attributes:
        place: dotted key, such as ``sampling.temperature``; with ``source`` where it was written.
        problem: what was given and what was expected, in one line.
        hint: the nearest known name, what is known, or how to write it.
        source: ``file:line``, ``command line``, or empty where nobody wrote it.
        asking: it stops only what has something to ask, such as a key that is not set: what the cache
            completes needs none.
    """

    place: str
    problem: str
    hint: str = ""
    source: str = ""
    asking: bool = False

    def __str__(self) -> str:
        where = f"{self.place} ({self.source})" if self.source else self.place
        return f"{where}: {self.problem}" + (f"\n    {self.hint}" if self.hint else "")


def one_line(message: str) -> str:
    """Return a message of several lines as one, where each line is still told from the next."""
    return "; ".join(" ".join(line.split()) for line in message.splitlines() if line.strip())


def raised_by_user(error: Exception) -> str:
    """Return what a user's code raised, cut to what fits a report: it often quotes a whole answer."""
    said = f"{type(error).__name__}: {error}"
    return said if len(said) <= _LONGEST else f"{said[: _LONGEST - 1]}…"


_LONGEST = 500

_VARYING = re.compile(r"[0-9A-Fa-f-]{8,}|\d+")


def unvaried(message: str) -> str:
    """Return a message without request ids, times and counts, which make equal failures look different."""
    return _VARYING.sub("#", message)


class ConfigError(UserError):
    """All faults of one config, reported together."""

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = tuple(dict.fromkeys(faults))
        super().__init__("\n".join(str(fault) for fault in self.faults))


class InputChangedError(UserError):
    """Raised when what a run holds no copy of is no longer what it was at the launch."""


@dataclass
class AskError(RunnerError):
    """An engine could not answer one request.

    Attributes:
        message: what the engine or the network said, without any secret.
        status: HTTP status where there was one.
        code: the provider's own error code where it gave one.
        retry_after: seconds the server asked to wait, where it did.
        attempts: how often the request was sent.
    """

    message: str
    status: int | None = None
    code: str | None = None
    retry_after: float | None = field(default=None, compare=False)
    attempts: int = field(default=1, compare=False)

    __hash__ = Exception.__hash__

    def __str__(self) -> str:
        return escape(f"HTTP {self.status}: {self.message}" if self.status else self.message)


class EngineError(AskError):
    """The engine as a whole can't go on: the job stops."""


class AuthenticationError(EngineError):
    """Raised when the engine refuses the key (401, 403)."""


class UnknownModelError(EngineError):
    """Raised when the engine does not serve the model that was asked for."""


class EngineUnreachableError(EngineError):
    """Raised when no connection to the engine can be had after all retries."""


class EngineFailingError(EngineError):
    """Raised when many requests failed in all their attempts and none was ever answered."""


class EngineStartError(EngineError):
    """Raised when the engine could not be started."""


class RowError(AskError):
    """Final for this row: asking again would give the same."""


class BadRequestError(RowError):
    """Raised when the engine refuses the request itself (400 and other 4xx, 403 for what a prompt says)."""


class UnservableRequestError(BadRequestError):
    """Raised when a server answers others, and each attempt of a constrained request with the same 500."""


class ContextLengthError(RowError):
    """Raised when prompt and answer don't fit the model's context."""


class RenderError(RowError):
    """Raised when a template can't be rendered for a row, or what it fills in can't be sent."""


class InputError(RowError, ValueError):
    """Raised when a method of an LLM can't make a request of what it was given."""


class MalformedError(RowError):
    """Raised when two answers in a row were malformed, or the one to the last attempt."""


class ScorerError(RowError):
    """Raised when a scorer fails on an answer, takes too long, or returns no score."""


class ResponseTooLargeError(RowError):
    """Raised when a body exceeds engine.max_response_bytes, or is compressed as no text is."""


class CheckError(RowError):
    """Raised when it can't be told in time whether an answer obeys its constraint."""


@dataclass
class IncompleteResponseError(RowError):
    """Raised when an answer lacks what was asked: fewer choices than n, no forced call.

    Attributes:
        response: the answer, which was paid for: a `runner.values.Response`; None where it is on disk.
    """

    response: object = field(default=None, compare=False, repr=False)

    __hash__ = Exception.__hash__


class MissingLogprobsError(IncompleteResponseError):
    """Raised when an answer lacks the log probabilities that were asked of its tokens."""


class RetryableError(AskError):
    """Worth asking again."""


class RateLimitError(RetryableError):
    """Raised on 429."""


class ServerError(RetryableError):
    """Raised on 5xx, 408 and 409, and where an answer's finish reason says that the server failed."""


class RequestTimeoutError(RetryableError):
    """Raised when no answer came within engine.timeout, or within the time-out of a call of an LLM."""


class ConnectionFailedError(RetryableError):
    """Raised when a connection is refused, not had in time, reset, or ends before the answer does."""


class MalformedResponseError(RetryableError):
    """Raised when an answer is not what the API documents; a second one in a row is final."""
