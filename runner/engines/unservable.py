"""Requests with a constraint that a server fails on, each time in the same way, while it answers others."""

from __future__ import annotations

from runner.engines.constraints import constraint_of
from runner.errors import RetryableError, UnservableRequestError
from runner.values import Request

_OWN_FAULTS = frozenset({500, 501})
"""Statuses of a server's own; a gateway sends those above when the server behind it is gone or busy."""

_ENFORCED = ("structured_outputs", "response_format", "grammar", "ebnf", "guided_json", "guided_regex")
"""What is passed through of constraints."""


def unserved_constraint(error: RetryableError, request: Request) -> str | None:
    """Return the constraint that a server which answers other requests fails on.

    Servers fail on constraints that they can't compile, each time in the same way.
    """
    return _constraint(request) if error.status in _OWN_FAULTS else None


def _constraint(request: Request) -> str | None:
    """Return the name of what a request's answer has to obey."""
    if (constraint := constraint_of(request)) is not None:
        return constraint[0]
    passed = request.sampling.get("passthrough") or {}
    named = [name for name in _ENFORCED if passed.get(name) is not None]
    return named[0] if named else "tool_choice" if request.sampling.get("tool_choice") else None


def unservable(error: RetryableError, constraint: str, attempts: int) -> UnservableRequestError:
    """Return the error for such a request, after so many attempts."""
    same = f"the same for all {attempts} attempts, while other requests were answered"
    told = f"{error.message} ({same}; the server may not support this {constraint})"
    return UnservableRequestError(told, error.status, error.code, attempts=attempts)
