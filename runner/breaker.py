"""What stops a job before its rows are done; a circuit breaker for an engine that never answered."""

from __future__ import annotations

from collections import Counter

from runner.errors import (
    AskError,
    BadRequestError,
    EngineError,
    EngineFailingError,
    IncompleteResponseError,
    MalformedError,
    RetryableError,
    RunnerError,
    unvaried,
)

SAME_REFUSALS = 20
"""Identical refusals, and not one answer ever, after which the engine, not the rows, is at fault."""

MANY_REFUSALS = 200
"""The same for refusals that differ."""

IN_VAIN = 20
"""The same for requests that failed in all their attempts, each for whatever reason."""


class StoppedError(RunnerError):
    """Raised when the job was told to stop before its rows were done."""


class TooManyErrorsError(RunnerError):
    """Raised when as many rows failed for good as max_errors allows."""


class Breaker:
    """Counts what failed while nothing was answered; the first answer takes it out."""

    def __init__(self) -> None:
        self._refused: Counter[tuple[int | None, str | None, str]] = Counter()
        self._in_vain: Counter[str] = Counter()

    def failed(self, error: AskError) -> EngineError | None:
        """Count a request that failed for good or for now; return what stops the job, if anything does."""
        if isinstance(error, BadRequestError):
            self._refused[kind := (error.status, error.code, unvaried(error.message))] += 1
            refused = self._refused.total()
            if self._refused[kind] >= SAME_REFUSALS or refused >= MANY_REFUSALS:
                return EngineError(f"all of {refused} requests were refused, such as: {error}")
        elif isinstance(error, RetryableError | MalformedError | IncompleteResponseError):
            self._in_vain[type(error).__name__] += 1
            failed = self._in_vain.total()
            if failed >= IN_VAIN:
                kinds = ", ".join(f"{number} {name}" for name, number in self._in_vain.most_common())
                return EngineFailingError(
                    f"none of {failed} requests was answered ({kinds}), such as: {error}"
                )
        return None
