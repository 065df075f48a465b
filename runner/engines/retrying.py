"""The one place where a request is asked again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from msgspec import structs
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    wait_exponential,
    wait_random,
)

from runner.engines.base import Engine
from runner.engines.constraints import constraint_of
from runner.engines.limits import Limiter
from runner.errors import (
    AskError,
    ConnectionFailedError,
    EngineError,
    EngineUnreachableError,
    MalformedError,
    MalformedResponseError,
    RateLimitError,
    RequestTimeoutError,
    RetryableError,
    UnservableRequestError,
    unvaried,
)
from runner.values import Request, Response


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before asking again: doubling, never less than the server asks for.

    Attributes:
        first: seconds after the first failure.
        longest: most seconds that doubling leads to.
        jitter: up to this many seconds are added, so that waiting requests don't come back as one.
        patience: a server that asks for more than this many seconds isn't waited for.
    """

    first: float = 1.0
    longest: float = 60.0
    jitter: float = 1.0
    patience: float = 600.0


class Retrying:
    """An engine in front of another that asks again what may succeed the next time.

    Every sending takes a permit of the limiter; none is held while waiting. `Response.timing.attempts`
    counts the attempts. What still fails after the last one is raised:

    - a malformed answer as `MalformedError`, final for its row; two in a row are enough;
    - a lost connection as `EngineUnreachableError`, if no other request was answered meanwhile;
    - the same 500 to each attempt, if others were answered, as `UnservableRequestError`;
    - a server that asks for more patience than there is, as `EngineError`;
    - all else as it was, with the number of attempts in its message.
    """

    def __init__(
        self,
        engine: Engine,
        max_attempts: int,
        limiter: Limiter,
        backoff: Backoff | None = None,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Stand in front of *engine*.

        Args:
            engine: answers the requests.
            max_attempts: how often one is sent at most.
            limiter: gives the permits.
            backoff: how long to wait before asking again.
            tell: is told why a request is about to be sent again, and nothing once none waits for that.
        """
        self._engine = engine
        self._limiter = limiter
        self._max_attempts = max_attempts
        self._backoff = backoff or Backoff()
        self._tell = tell
        self._answers = 0
        self._failures = 0
        """Of these, errors: what the server said in place of an answer."""
        self._retrying = 0
        """Requests whose first attempt failed and that are neither answered nor given up."""

    @property
    def version(self) -> str | None:
        """Version of the engine behind this."""
        return self._engine.version

    async def __aenter__(self) -> Self:
        await self._engine.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._engine.__aexit__(kind, error, trace)

    async def generate(self, request: Request) -> Response:
        # What `_send` does, without a coroutine more: nearly all requests succeed at once. The retry library
        # costs more than sending one.
        limiter, answers = self._limiter, self._answers
        if not limiter.take():
            await limiter.wait()
        sent_in = limiter.round
        try:
            response = await self._engine.generate(request)
        except AskError as error:
            self._note_failure(error, sent_in)
            if not isinstance(error, RetryableError):
                raise
            failure = error
        else:
            self._answers += 1
            limiter.answered()
            return response
        finally:
            limiter.release()
        return await self._again(request, failure, answers)

    async def stream(self, request: Request) -> AsyncGenerator[str]:
        """Pass the text on as it comes; a stream is never asked again."""
        async with self._limiter, aclosing(self._engine.stream(request)) as texts:
            async for text in texts:
                yield text

    async def _send(self, request: Request) -> Response:
        limiter = self._limiter
        if not limiter.take():
            await limiter.wait()
        sent_in = limiter.round
        try:
            response = await self._engine.generate(request)
        except AskError as error:
            self._note_failure(error, sent_in)
            raise
        finally:
            limiter.release()
        self._answers += 1
        limiter.answered()
        return response

    def _note_failure(self, error: AskError, sent_in: int) -> None:
        if isinstance(error, RateLimitError):
            self._limiter.throttled(sent_in, self._bearable(error))
        if not isinstance(error, ConnectionFailedError | RequestTimeoutError):
            self._answers += 1  # the server did answer
            self._failures += 1

    async def _again(self, request: Request, first: RetryableError, answers: int) -> Response:
        failure: RetryableError | None = first
        attempts = 0
        answered = self._answered
        said: set[str] = set()
        """What each attempt came to."""

        async def attempt() -> Response:
            nonlocal failure, attempts
            attempts += 1
            if failure is not None:
                # The attempt that brought us here is the library's first.
                failed, failure = failure, None
                said.add(_words_of(failed))
                raise failed
            try:
                return await self._send(request)
            except RetryableError as error:
                said.add(_words_of(error))
                raise

        self._retrying += 1
        try:
            response: Response = await self._library()(attempt)
        except RetryableError as error:
            if len(said) == 1 and attempts > 1 and self._serves_others(error, request, answered):
                raise _unservable(error, request, attempts) from error
            raise self._final(error, attempts, answers) from error
        finally:
            self._retrying -= 1
            if not self._retrying:
                self._tell("")
        timing = structs.replace(response.timing, attempts=attempts)
        return structs.replace(response, timing=timing)

    def _serves_others(self, error: RetryableError, request: Request, answered: int) -> bool:
        """Tell whether it is this request that a server fails on which is working.

        That others were answered since its first failure tells it. Of a request with a constraint, that any
        was answered: servers fail on constraints that they can't compile.

        Args:
            error: what all attempts came to.
            request: that was sent.
            answered: requests that were answered before its first failure.
        """
        if error.status not in _OWN_FAULTS:
            return False
        return self._answered > (0 if _constraint(request) is not None else answered)

    @property
    def _answered(self) -> int:
        return self._answers - self._failures

    def _library(self) -> AsyncRetrying:
        doubling = wait_exponential(multiplier=self._backoff.first, max=self._backoff.longest)
        jitter = wait_random(0, self._backoff.jitter)

        def wait(state: RetryCallState) -> float:
            return max(doubling(state), _asked(_failure(state))) + jitter(state)

        malformed = 0

        def stop(state: RetryCallState) -> bool:
            nonlocal malformed
            failure = _failure(state)
            # Each answer is paid for, and a server that sends two such will send a third.
            malformed = malformed + 1 if isinstance(failure, MalformedResponseError) else 0
            hopeless = _asked(failure) > self._backoff.patience or malformed >= _MOST_MALFORMED
            return hopeless or state.attempt_number >= self._max_attempts

        return AsyncRetrying(
            sleep=asyncio.sleep,
            stop=stop,
            wait=wait,
            before_sleep=self._say,
            retry=retry_if_exception_type(RetryableError),
            reraise=True,
        )

    def _say(self, state: RetryCallState) -> None:
        coming = state.attempt_number + 1
        self._tell(f"retrying (attempt {coming} of {self._max_attempts}): {_failure(state)}")

    def _bearable(self, error: RetryableError) -> float | None:
        """Return how long all sending is to pause."""
        return error.retry_after if _asked(error) <= self._backoff.patience else None

    def _final(self, error: RetryableError, attempts: int, answers: int) -> AskError:
        """Return what a failure comes to when it isn't tried again."""
        said = f"{error.message} (after {attempts} attempt{'s' * (attempts > 1)})"
        if _asked(error) > self._backoff.patience:
            said = f"{said}; the server asks to wait {_asked(error):.0f} s"
            return EngineError(said, error.status, error.code, error.retry_after)
        if isinstance(error, MalformedResponseError):
            return MalformedError(said, error.status, error.code)
        if isinstance(error, ConnectionFailedError) and answers == self._answers:
            return EngineUnreachableError(said)
        return replace(error, message=said)


_OWN_FAULTS = frozenset({500, 501})
"""Statuses of a server's own; a gateway sends those above when the server behind it is gone or busy."""
_MOST_MALFORMED = 2
"""Malformed answers in a row that end a request."""


_ENFORCED = ("structured_outputs", "response_format", "grammar", "ebnf", "guided_json", "guided_regex")
"""What is passed through of constraints."""


def _constraint(request: Request) -> str | None:
    """Return the name of what a request's answer has to obey."""
    if (constraint := constraint_of(request)) is not None:
        return constraint[0]
    passed = request.sampling.get("passthrough") or {}
    named = [name for name in _ENFORCED if passed.get(name) is not None]
    return named[0] if named else "tool_choice" if request.sampling.get("tool_choice") else None


def _words_of(error: AskError) -> str:
    """Return what tells one failure from another."""
    return f"{type(error).__name__} {error.status} {unvaried(error.message)}"


def _unservable(error: RetryableError, request: Request, attempts: int) -> UnservableRequestError:
    told = f"{error.message} (the same for all {attempts} attempts, while other requests were answered"
    if (constraint := _constraint(request)) is not None:
        told += f"; the server may not support this {constraint}"
    return UnservableRequestError(f"{told})", error.status, error.code)


def _failure(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome is not None else None


def _asked(error: BaseException | None) -> float:
    return (error.retry_after or 0.0) if isinstance(error, AskError) else 0.0
