"""Counts what a job has done; what a terminal shows of it is somebody else's affair."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field

import msgspec

from runner.records import ERROR, MISSING


class Progress(msgspec.Struct, frozen=True, omit_defaults=True):
    """A moment of a job; counts are of results (row and sample) unless said otherwise.

    Attributes:
        total: results of the complete job.
        done: finished in this and earlier attempts, final errors included.
        cached: answered by the cache alone, in this attempt.
        failed: final errors, in this attempt.
        missing: failed for now: a resume asks again.
        requests: requests sent; one that is tried again counts once.
        prompt_tokens: tokens sent.
        completion_tokens: tokens received.
        started: Unix time when the first request could be sent.
        phase: what the job is about, such as ``waiting for a GPU``.
    """

    total: int = 0
    done: int = 0
    cached: int = 0
    failed: int = 0
    missing: int = 0
    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    started: float | None = None
    phase: str = ""


@dataclass(slots=True)
class Counts:
    """The running counts behind `Progress`; one per attempt, owned by its event loop.

    ``done_of`` and ``failed_of`` count by point, so that a point that is dropped can be left out.
    """

    total: int = 0
    cached: int = 0
    missing: int = 0
    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    phase: str = ""
    started: float | None = None
    done_of: Counter[int] = field(default_factory=Counter)
    failed_of: Counter[int] = field(default_factory=Counter)

    def start(self) -> None:
        """Note that asking begins now."""
        self.started = time.time()

    def count(self, point: int, state: str, *, cached: bool) -> None:
        """Count a result."""
        self.cached += cached
        if state == MISSING:
            self.missing += 1
            return
        self.done_of[point] += 1
        if state == ERROR:
            self.failed_of[point] += 1

    def snapshot(self) -> Progress:
        """Return the counts as a value."""
        return Progress(
            self.total,
            self.done_of.total(),
            self.cached,
            self.failed_of.total(),
            self.missing,
            self.requests,
            self.prompt_tokens,
            self.completion_tokens,
            self.started,
            self.phase,
        )
