"""Counts what a job has done; what a terminal shows of it is somebody else's affair."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from enum import IntEnum

import msgspec

from runner.records import ERROR, MISSING
from runner.values import Usage


class Source(IntEnum):
    """Where a result's answers came from; where they came from several places, the last of these counts."""

    CACHED = 0
    """From what earlier runs were answered."""
    SHARED = 1
    """From what this run was answered for an equal request."""
    ASKED = 2
    """From requests of its own, or there is none, as of a row that can't be rendered."""


_ASKED = Source.ASKED  # looking up a member of an enumeration takes longer than comparing it


class Progress(msgspec.Struct, frozen=True, omit_defaults=True):
    """A moment of a job; counts are of results (row and sample) unless said otherwise.

    What an attempt adds to ``done`` is ``cached + shared`` and what it asked for itself. Of an attempt
    that was killed these are the counts of its last half-second or so.

    Attributes:
        total: results of the complete job.
        done: finished in this and earlier attempts, final errors included.
        cached: answered by the cache alone, in this attempt.
        shared: answered without a request of their own by what others of the job asked, in this attempt.
        failed: final errors, in this attempt.
        missing: failed for now: a resume asks again.
        requests: requests sent; one that is sent again counts once.
        retries: how often requests were sent again, by what had failed: ``rate_limit``, ``server_error``,
            ``timeout``, ``connection``, ``malformed``.
        prompt_tokens: tokens sent.
        completion_tokens: tokens received.
        uncounted: responses of which the server doesn't report how many tokens they took.
        started: Unix time when the first request could be sent.
        phase: what the job is about, such as ``waiting for a GPU``.
        trouble: why requests wait to be sent again, where some do.
    """

    total: int = 0
    done: int = 0
    cached: int = 0
    shared: int = 0
    failed: int = 0
    missing: int = 0
    requests: int = 0
    retries: dict[str, int] = {}
    prompt_tokens: int = 0
    completion_tokens: int = 0
    uncounted: int = 0
    started: float | None = None
    phase: str = ""
    trouble: str = ""


@dataclass(slots=True)
class Counts:
    """The running counts behind `Progress`; one per attempt, owned by its event loop.

    ``done_of`` and ``failed_of`` count by point, so that a point that is dropped can be left out.
    """

    total: int = 0
    cached: int = 0
    shared: int = 0
    missing: int = 0
    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    uncounted: int = 0
    phase: str = ""
    trouble: str = ""
    started: float | None = None
    done_of: Counter[int] = field(default_factory=Counter)
    failed_of: Counter[int] = field(default_factory=Counter)
    retries: Counter[str] = field(default_factory=Counter)

    def start(self) -> None:
        """Note that asking begins now."""
        self.started = time.time()

    def tell(self, trouble: str) -> None:
        """Note why requests wait to be sent again; nothing once none does."""
        self.trouble = trouble

    def retry(self, kind: str) -> None:
        """Count a request that is sent again, by what had failed."""
        self.retries[kind] += 1

    def spend(self, usage: Usage) -> None:
        """Count the tokens of an answer; where they are unknown, the answer."""
        self.prompt_tokens += usage.prompt_tokens or 0
        self.completion_tokens += usage.completion_tokens or 0
        self.uncounted += usage.completion_tokens is None

    def count(self, point: int, state: str, source: Source) -> None:
        """Count a result."""
        if source is not _ASKED:
            self.cached += source is Source.CACHED
            self.shared += source is Source.SHARED
        if state == MISSING:
            self.missing += 1
            return
        self.done_of[point] += 1
        if state == ERROR:
            self.failed_of[point] += 1

    def snapshot(self) -> Progress:
        """Return the counts as a value."""
        return Progress(
            total=self.total,
            done=self.done_of.total(),
            cached=self.cached,
            shared=self.shared,
            failed=self.failed_of.total(),
            missing=self.missing,
            requests=self.requests,
            retries=dict(self.retries),
            prompt_tokens=self.prompt_tokens,
            completion_tokens=self.completion_tokens,
            uncounted=self.uncounted,
            started=self.started,
            phase=self.phase,
            trouble=self.trouble,
        )
