"""How many files a job may have to hold open, and whether this process may."""

from __future__ import annotations

import resource

from runner.engines.base import EngineKind
from runner.engines.registry import engine_kinds
from runner.engines.remote import RemoteSettings
from runner.errors import UserError
from runner.jobs import Job
from runner.launch.worker_lock import LOCK_FD
from runner.spec import EngineSettings, LocalCluster

_BASE = 32
"""Files of a process that runs a job: streams, logs, databases, the event loop. Measured: 20."""


def max_in_flight(settings: EngineSettings, kind: EngineKind) -> int:
    """Return how many requests a job may have in flight at once."""
    given = settings.concurrency
    return kind.capabilities.concurrency if given == "auto" else given


def require_open_files(job: Job) -> None:
    """Raise this process's limit on open files, which jobs that it starts inherit, to what a job needs.

    Raises:
        UserError: the system does not allow as many.
    """
    experiment = job.points[0].experiment()
    kind = engine_kinds()[experiment.engine.kind]
    connections = 0
    if isinstance(experiment.engine, RemoteSettings):
        results = sum(point.expected for point in job.points)
        connections = min(max_in_flight(experiment.engine, kind), results)
    # Descriptors are numbered from 0, and a local job's lock has a number of its own.
    least = LOCK_FD + 1 if isinstance(experiment.cluster, LocalCluster) else _BASE
    needed = max(least, _BASE + connections)
    allowed = _allowed(needed)
    if allowed < needed:
        what = f", {connections} of them for requests in flight" if connections else ""
        fits = allowed >= least and allowed > _BASE
        fewer = f", or set engine.concurrency to at most {allowed - _BASE}" if fits else ""
        raise UserError(
            f"{job.name} needs up to {needed} open files{what}; the limit here is {allowed}\n"
            f"    raise it (ulimit -n {needed}){fewer}"
        )


def _allowed(needed: int) -> int:
    """Return how many files this process may hold open, after raising that to *needed* where possible."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return needed
    if hard != resource.RLIM_INFINITY and hard < needed:
        return hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    return needed
