"""What every method of an LLM goes through, from its arguments to a request on its way."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sized
from concurrent.futures import Future
from typing import Any

from runner.engines.auto import chosen_among
from runner.engines.chunks import Chunk
from runner.errors import ConfigError, Fault
from runner.llm.batch import Batch
from runner.llm.declared import Arguments, Call, Declared
from runner.llm.foreign import converted, is_single, require_column
from runner.llm.holding import Held, on_loop
from runner.llm.progress import Show, Tally
from runner.llm.requests import Answer, ask_for
from runner.llm.running import Running
from runner.llm.starting import most_in_flight
from runner.llm.streaming import Streaming
from runner.spec.sampling import MOST_SAMPLES
from runner.values import Response

_LONGEST = 1e9
"""Seconds that clocks can count."""
_LEAST_ROOM = 64
"""Inputs of a batch under way at least: those that are stored are looked up together."""


class Calls:
    """One model on one engine; a copy checks nothing and starts nothing before it is used."""

    def __init__(self, arguments: Arguments) -> None:
        """Declare it; raises `ConfigError` with all faults."""
        self._arguments = arguments
        self._begin(Declared(arguments))

    def _begin(self, declared: Declared | None = None) -> None:
        self._declared = declared
        self._held = Held()
        weakref.finalize(self, self._held.abandon).atexit = False

    def __reduce__(self) -> tuple[Any, ...]:
        return _copied, (type(self), self._arguments)

    def __repr__(self) -> str:
        made = f"LLM({', '.join(f'{name}={value!r}' for name, value in self._arguments.declared)})"
        chosen = None if self._declared is None else chosen_among(self._declared.plain.point.notes)
        return made if chosen is None else f"{made}  # {chosen}"

    def _plan(self) -> Declared:
        if self._declared is None:
            self._declared = Declared(self._arguments)
        return self._declared

    def _running(self) -> Running:
        return self._held.running(self._plan())

    def _submit(
        self, call: Call, given: Any, sample: int = 0, timeout: float | None = None
    ) -> Future[Answer]:
        """Have one input answered."""
        ask = ask_for(self._plan(), call, given, checked(sample), seconds(timeout))
        return on_loop(self._running().generate(ask))

    def _streaming(self, call: Call, given: Any, sample: int, timeout: float | None) -> tuple[Streaming, int]:
        """Prepare to stream the answer to one input; return how many choices it has, too."""
        ask = ask_for(self._plan(), call, given, checked(sample), seconds(timeout))

        def begin() -> Callable[[Callable[[Chunk], None]], Awaitable[Response]]:
            running = self._running()  # a stream keeps its LLM from being closed for want of use

            async def send(hear: Callable[[Chunk], None]) -> Response:
                return (await running.generate(ask, hear)).response

            return send

        return Streaming(begin), call.point.sampling.get("n") or 1

    def _batch(
        self,
        call: Call,
        inputs: Iterable[Any],
        progress: bool,
        sample: int = 0,
        timeout: float | None = None,
    ) -> Batch:
        """Prepare to have many inputs answered; raises `ConfigError` where one was given."""
        require_many(inputs)
        declared, running = self._plan(), self._running()
        sample, most = checked(sample), seconds(timeout)

        def ask(given: Any) -> Future[Answer]:
            return on_loop(running.generate(ask_for(declared, call, given, sample, most)))

        tally = Tally(len(inputs) if isinstance(inputs, Sized) else None)
        show = Show(tally, lambda: running.trouble, wanted=bool(converted(progress)))
        return Batch(ask, max(_LEAST_ROOM, 2 * most_in_flight(call.point)), tally, show)

    def _call(self, sampling: Mapping[str, Any], task: str = "") -> Call:
        return self._plan().call(sampling, task)


def _copied(kind: type[Calls], arguments: Arguments) -> Calls:
    """Return a copy; it checks nothing before it is used."""
    copy = kind.__new__(kind)
    copy._arguments = arguments  # noqa: SLF001 - its own
    copy._begin()  # noqa: SLF001 - its own
    return copy


def checked(sample: int) -> int:
    """Return which of several answers is asked for.

    Raises:
        ConfigError: there is none such.
    """
    sample = converted(sample)
    if type(sample) is int and 0 <= sample < MOST_SAMPLES:
        return sample
    problem = f"{sample!r} given, expected a number from 0 to {MOST_SAMPLES - 1}"
    raise ConfigError([Fault("sample", problem)])


def seconds(timeout: float | None) -> float | None:
    """Return how long a call may take.

    Raises:
        ConfigError: it is no time.
    """
    timeout = converted(timeout)
    if timeout is None:
        return None
    if isinstance(timeout, int | float) and type(timeout) is not bool and 0 < timeout <= _LONGEST:
        return float(timeout)
    raise ConfigError([Fault("timeout", f"{timeout!r} given, expected seconds, more than 0, or None")])


def require_many(inputs: Any) -> None:
    """Refuse what isn't many inputs.

    Raises:
        ConfigError: it is one, or a table, which has several for each.
    """
    require_column(inputs, "inputs")
    if isinstance(inputs, str | bytes | Mapping):
        raise ConfigError([Fault("inputs", "one input given, expected many", "put it into a list")])
    if is_single(inputs) or not isinstance(inputs, Iterable):
        problem = f"{type(inputs).__name__} given, expected a list or another iterable of inputs"
        raise ConfigError([Fault("inputs", problem)])


def kept(errors: str) -> bool:
    """Tell whether errors are to stand in the places of the answers that are not to be had.

    Raises:
        ConfigError: it says neither raise nor return.
    """
    errors = converted(errors)
    if errors not in {"raise", "return"}:
        raise ConfigError([Fault("errors", f"{errors!r} given, expected raise or return")])
    return errors == "return"


async def batched(batch: Batch, inputs: Iterable[Any], *, keep_errors: bool) -> list[Any]:
    """Run a batch in a thread, where its inputs are taken; it stops when this is cancelled."""
    try:
        return await asyncio.to_thread(batch.run, inputs, keep_errors=keep_errors)
    except asyncio.CancelledError:
        batch.stop()
        raise
