"""From a prepared run folder to jobs under way: serves what is cached, launches what is missing."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial

from runner.cache import ResponseCache
from runner.collector import spare_the_collector
from runner.fold import PointCounts
from runner.jobs import Job, PointSpec, read_job
from runner.launch import JobRequest, launch
from runner.points import PointRecords
from runner.runs import CANCELLED, RunFolder
from runner.spec import InlineCluster
from runner.survey import PointSurvey, survey_point


def serve_cached(run: RunFolder, names: Collection[str] | None = None) -> dict[str, PointSurvey]:
    """Write the results that the cache completes into the points' folders; return what was found.

    Rows that have a result are passed over. A run without any earlier cache is left alone, and nothing is
    returned.

    Args:
        run: none of its jobs is under way.
        names: of the points to serve; left out means all.
    """
    spare_the_collector()
    points = [point for job in jobs_of(run) for point in job.points]
    wanted = [point for point in points if names is None or point.name in names]
    reading = [point for point in wanted if point.experiment().reads_cache]
    with run.lock(), ResponseCache(run.cache if reading else None) as cache:
        if not cache:
            return {}
        return {point.name: _serve(run, point, cache) for point in reading}


def _serve(run: RunFolder, point: PointSpec, cache: ResponseCache) -> PointSurvey:
    with PointRecords(run.point(point.name) / "cache.sqlite") as keep:
        survey = survey_point(point, run.path, cache, keep=keep)
        keep.commit()
        return survey


def jobs_of(run: RunFolder) -> list[Job]:
    """Return every job of a run."""
    return [read_job(folder) for folder in run.jobs]


def unfinished(run: RunFolder, counts: dict[str, PointCounts], *, retry_final: bool = False) -> list[Job]:
    """Return the jobs that have something left to ask; cancelled points don't count."""
    return [job for job in jobs_of(run) if unfinished_points(run, job, counts, retry_final=retry_final)]


def unfinished_points(
    run: RunFolder, job: Job, counts: dict[str, PointCounts], *, retry_final: bool = False
) -> list[PointSpec]:
    """Return the points of a job that have something left to ask; cancelled ones have nothing."""

    def left(point: PointSpec) -> bool:
        count = counts[point.name]
        open_results = count.missing + (count.errors if retry_final else 0)
        return open_results > 0 and not (run.point(point.name) / CANCELLED).exists()

    return [point for point in job.points if left(point)]


def launch_jobs(run: RunFolder, jobs: Sequence[Job]) -> None:
    """Start jobs on the cluster that their experiment names; inline ones have ended when this returns.

    Raises:
        StoppedJobsError: an inline job was told to stop; those after it were not begun.
    """
    from runner.work import run_job  # loads the whole worker

    by_cluster: dict[str, list[Job]] = {}
    for job in jobs:
        by_cluster.setdefault(job.points[0].experiment().cluster.model_dump_json(), []).append(job)
    for group in by_cluster.values():
        cluster = group[0].points[0].experiment().cluster
        requests = [JobRequest(job.name, run.job(job.name), job.devices) for job in group]
        target = partial(run_job, redirect=False) if isinstance(cluster, InlineCluster) else run_job
        launch(run.path, requests, cluster, target)
