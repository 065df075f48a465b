"""Says in words how jobs are doing, on terminals with a bar and without; and what failed."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterable, Sequence

from rich.console import Console

from runner.errors import one_line
from runner.export import Failure, added_up
from runner.outcome import UNDER_WAY, JobOutcome
from runner.progress import Progress
from runner.terminal import write_error
from runner.values import count

LINE_SECONDS = 10.0
"""Counts are printed this often; a new state, and trouble of a new kind, at once."""

_NUMBER = re.compile(r"\d+")


class Troubles:
    """Tells trouble of a new kind from what was said already: attempts, times and ports don't count."""

    def __init__(self) -> None:
        self._said: set[tuple[str, str]] = set()

    def new(self, job: JobOutcome) -> bool:
        """Tell whether a job has trouble of a kind that it hadn't before; notes that."""
        kind = (job.name, _NUMBER.sub("#", job.progress.trouble))
        if job.state not in UNDER_WAY or not job.progress.trouble or kind in self._said:
            return False
        self._said.add(kind)
        return True


class JobLines:
    """Prints a line for each job whose state changed, and its counts now and then."""

    def __init__(self) -> None:
        self._said: dict[str, tuple[str, float]] = {}
        self._troubles = Troubles()

    def show(self, jobs: Sequence[JobOutcome]) -> None:
        """Print what is new."""
        for job in jobs:
            if job.state != "not_submitted":
                self._show(job)

    def _show(self, job: JobOutcome) -> None:
        now = time.monotonic()
        state = f"{job.state} {job.progress.phase}".strip()
        before, due = self._said.get(job.name, ("", 0.0))
        nothing_new = state == before and (now < due or job.state not in UNDER_WAY)
        if not self._troubles.new(job) and nothing_new:
            return
        self._said[job.name] = (state, now + LINE_SECONDS)
        said = describe(job, brief=job.state not in UNDER_WAY)
        counts = f" {job.progress.done:,}/{job.progress.total:,}" if job.progress.total else ""
        write_error(f"{job.name}: {job.state}{counts}  {said}".rstrip())


def describe(job: JobOutcome, *, brief: bool = False) -> str:
    """Say in a few words how a job is doing: its phase, or its rates, failures and troubles.

    Args:
        job: the job.
        brief: leave out what another line tells whole: of why it ended, and of its trouble, all but the kind.
    """
    progress = job.progress
    if job.state == "pending":
        return job.reason or "pending"
    if job.state not in UNDER_WAY and job.reason:
        return job.reason.partition(":")[0] if brief else job.reason
    if progress.started is None:
        return progress.phase or job.reason
    trouble = progress.trouble if job.state == "running" else ""
    said = [trouble.partition(":")[0] if brief else trouble] if trouble else []
    done = progress if job.state in UNDER_WAY else job.spent  # of all attempts, as the end of a run counts
    answered = progress.completion_tokens or progress.uncounted
    rates = [_rates(job)] if done.requests and (answered or not said) else []
    counted = {
        "cached": done.cached,
        "shared": done.shared,
        "failed": progress.failed,
        "missing": progress.missing,
    }
    again = sum(done.retries.values())
    retries = [f"{again:,} {_retries(again)}"] if again else []
    told = [*rates, *retries, *(f"{number:,} {name}" for name, number in counted.items() if number), *said]
    return ", ".join(told) or progress.phase or job.reason


def _rates(job: JobOutcome) -> str:
    progress = job.progress
    if job.state != "running" or progress.started is None:
        return count(job.spent.requests, "request")
    if not progress.completion_tokens and not progress.uncounted:
        return f"{count(progress.requests, 'request')} sent"
    seconds = max(time.time() - progress.started, 0.001)
    if progress.uncounted:
        least = f", at least {progress.completion_tokens / seconds:.0f} tokens/s"
        return f"{progress.requests / seconds:.0f} requests/s{least if progress.completion_tokens else ''}"
    return (
        f"{progress.requests / seconds:.0f} requests/s, {progress.completion_tokens / seconds:.0f} tokens/s"
    )


_RETRIED = {
    "rate_limit": ("rate limit", "rate limits"),
    "server_error": ("server error", "server errors"),
    "timeout": ("time-out", "time-outs"),
    "connection": ("connection failure", "connection failures"),
    "malformed": ("malformed response", "malformed responses"),
}
"""Kinds of `Progress.retries`, in words."""


def retried(progress: Iterable[Progress]) -> str:
    """Say how many retries there were, and why; nothing where there were none."""
    kinds: Counter[str] = Counter()
    for one in progress:
        kinds.update(one.retries)
    if not kinds.total():
        return ""
    said = (
        f"{number:,} {_RETRIED.get(kind, (kind, kind))[number != 1]}" for kind, number in kinds.most_common()
    )
    return f"{kinds.total():,} {_retries(kinds.total())} ({', '.join(said)})"


def _retries(number: int) -> str:
    return "retry" if number == 1 else "retries"


def print_failures(out: Console, failures: Iterable[Failure]) -> None:
    """Print each failure once, with the first row that it met."""
    for failure in added_up(failures):
        status = f"HTTP {failure.status}: " if failure.status else ""
        said = one_line(f"{status}{failure.message}")
        out.print(f"  {failure.count:,} x {failure.kind}, such as row {failure.id}: {said}", style="red")
