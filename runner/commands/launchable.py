"""Whether what there is to ask can be asked from here; what the cache completes needs nothing for it.

Rows are read to tell the two apart only where something is in the way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from runner.config import Point, RefusedPoint
from runner.errors import ConfigError, Fault, UserError
from runner.launch import check_cluster
from runner.refusals import placed, together
from runner.runs import CACHE_FILE
from runner.spec import SlurmCluster

if TYPE_CHECKING:
    from runner.jobs import Job
    from runner.plan import Plan
    from runner.spec import Cluster, Experiment


class Asking:
    """Tells which jobs and points of a plan have something to ask; each point's rows are read once.

    Args:
        plan: whose they are.
        jobs: what `specify` made of it, where that is known already.
    """

    def __init__(self, plan: Plan, jobs: Sequence[Job] | None = None) -> None:
        self._plan = plan
        self._jobs = jobs
        self._known: dict[str, bool] = {}

    def job(self, name: str) -> bool:
        """Tell whether any point of the job has something to ask."""
        planned = next(job for job in self._plan.jobs if job.name == name)
        return any(self.point(point.name) for point in planned.points)

    def point(self, name: str) -> bool:
        """Tell whether the point has something to ask.

        Raises:
            UserError: its rows can't be read.
        """
        if name not in self._known:
            self._known[name] = self._asks(name)
        return self._known[name]

    def _asks(self, name: str) -> bool:
        from runner.cache import ResponseCache
        from runner.prepare import specify
        from runner.survey import has_requests

        planned = next(point for point in self._plan.points if point.name == name)
        file = self._plan.composition.places.runs / CACHE_FILE
        with ResponseCache(file if planned.experiment.reads_cache else None) as cache:
            if not cache and self._jobs is None:
                return True  # whatever the rows are
            if self._jobs is None:
                self._jobs = specify(self._plan)
            spec = next(spec for job in self._jobs for spec in job.points if spec.name == name)
            return has_requests(spec, Path(), cache)


def less_stopped(plan: Plan, *, skip_refused: bool) -> Plan:
    """Return *plan* without the points that have something to ask and can't, such as for want of a key.

    Raises:
        ConfigError: there are such points, and *skip_refused* is false or no other is left.
    """
    from runner.plan import less, stopped

    blocked = [planned for planned in plan.points if planned.obstacles]
    if not blocked:
        return plan
    jobs = tuple(job for job in plan.jobs if any(planned.obstacles for planned in job.points))
    points = tuple(planned for job in jobs for planned in job.points)
    asking = Asking(replace(plan, jobs=jobs, points=points))
    refused = [stopped(planned) for planned in blocked if asking.point(planned.name)]
    if not refused:
        return plan
    if skip_refused:
        return less(plan, refused)
    raise ConfigError(together(refused, len(plan.points)))


def less_without_server(plan: Plan, *, skip_refused: bool) -> Plan:
    """Return *plan* without the points that have something to ask of a server that can't be there.

    Raises:
        ConfigError: there are such points, and *skip_refused* is false or no other is left.
        UserError: a dataset can't be read as what it says it is.
    """
    from runner.plan import less
    from runner.prepare import specify

    absent = {one.index: one for one in without_server(planned.point for planned in plan.points)}
    if not absent:
        return plan
    asking = Asking(plan, specify(plan))
    refused = [
        absent[planned.point.index]
        for planned in plan.points
        if planned.point.index in absent and asking.point(planned.name)
    ]
    if not refused:
        return plan
    if skip_refused:
        return less(plan, refused)
    faults = together(refused, len(plan.points))
    if len(refused) < len(plan.points):
        faults = also(faults, "--skip-refused leaves such points out")
    raise ConfigError(faults)


def also(faults: Iterable[Fault], way: str) -> list[Fault]:
    """Return faults with another *way* out behind what helps."""
    return [replace(fault, hint=f"{fault.hint}; {way}") for fault in faults]


def check_launch(plan: Plan, jobs: Sequence[Job]) -> None:
    """Refuse a plan of which some job has something to ask and can't be launched from here.

    Raises:
        UserError: why.
    """
    asks = Asking(plan, jobs).job
    check_clusters(plan, asks)
    for job in jobs:
        try:
            check_open_files(job)
        except UserError:
            if asks(job.name):
                raise


def check_open_files(job: Job) -> None:
    """Refuse a job of this machine that may not hold as many files open as it needs.

    Raises:
        UserError: how many it needs.
    """
    from runner.open_files import require_open_files

    if not isinstance(job.points[0].experiment().cluster, SlurmCluster):
        require_open_files(job)


def check_clusters(plan: Plan, asks: Callable[[str], bool]) -> None:
    """Refuse a plan that can't be launched here; a cluster is asked once for each size of jobs.

    Args:
        plan: what would run.
        asks: tells whether the job of a name has something to ask.

    Raises:
        UserError: too few GPUs, or no Slurm that answers.
    """
    found: dict[tuple[str, int], UserError | None] = {}
    for job in sorted(plan.jobs, key=lambda job: -job.devices):
        cluster = job.points[0].experiment.cluster
        size = 0 if isinstance(cluster, SlurmCluster) else job.devices
        key = (cluster.model_dump_json(), size)
        if key not in found:
            found[key] = _trouble(cluster, size)
        trouble = found[key]
        if trouble is not None and asks(job.name):
            raise trouble


def _trouble(cluster: Cluster, devices: int) -> UserError | None:
    try:
        check_cluster(cluster, devices)
    except UserError as error:
        return error
    return None


def without_server(points: Iterable[Point]) -> list[RefusedPoint]:
    """Return those points whose server can't be there, if this machine is the one to ask it.

    Nothing listens at its address then, or its host is unknown.
    """
    # A plan asks nobody, and needs no HTTP library.
    from runner.engines.reachable import unreachable

    asking = [(point, url) for point in points if (url := _asked_from_here(point.experiment)) is not None]
    missing = unreachable(url for _, url in asking)
    return [
        RefusedPoint(point.index, point.axes, tuple(placed([_absent(url, missing[url])], point)))
        for point, url in asking
        if url in missing
    ]


def _asked_from_here(experiment: Experiment) -> str | None:
    """Return the address that this machine asks; what a node of a cluster reaches can't be told here."""
    if isinstance(experiment.cluster, SlurmCluster):
        return None
    return getattr(experiment.engine, "base_url", None)


def _absent(url: str, reason: str) -> Fault:
    return Fault(
        "engine.base_url",
        f"there is no server at {url}: {reason}",
        "start it first, or give the address where it runs",
    )
