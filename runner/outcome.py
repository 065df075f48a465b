"""How a run stands: what its jobs say, what Slurm says, and what is on disk, as one value."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from pathlib import Path

import msgspec

from runner.errors import UserError
from runner.export import Failure, Unmatched
from runner.fold import REMAKE, PointCounts, fold_run
from runner.inputs import damage
from runner.jobs import PointSpec, read_job
from runner.launch.attempts import STATE_FILE, State, attempts, read_state
from runner.launch.job_state import JobState
from runner.launch.kept import mask_kept
from runner.launch.output import STDERR_FILE
from runner.launch.query import job_states
from runner.progress import Progress
from runner.resolved import Refusal, check_whole, read_refused
from runner.runs import CANCELLED, PUT_BACK, RunFolder, read_file
from runner.secrets import Secrets
from runner.values import Json

UNDER_WAY = frozenset({"pending", "running"})
NOTHING_TO_ASK = "there is nothing to ask"
_EXIT_CODES = {"running": 0, "pending": 0, "complete": 0, "errors": 3, "incomplete": 3, "interrupted": 130}


class JobOutcome(msgspec.Struct, frozen=True):
    """One job: its state, why, and how far it is.

    ``progress`` is of the newest attempt; ``spent`` sums over all attempts what was sent and received, and
    the results that cost nothing.
    """

    name: str
    state: str
    reason: str
    progress: Progress
    spent: Progress
    log: str | None = None
    slurm: str | None = None


class PointOutcome(msgspec.Struct, frozen=True):
    """One point: its counts and scores; ``served`` were completed by the cache without a job.

    ``rows`` is how many rows the point has, of which a score may count fewer.
    ``unmatched`` tells by scorer of answers in which there was nothing to compare; ``finish`` counts answers
    by why they ended, other than by ``stop``; ``times`` are those of answers in pieces, in seconds; ``fault``
    says why the vectors of its answers could not be written, where they could not.
    """

    name: str
    axes: dict[str, Json]
    expected: int
    ok: int
    errors: int
    missing: int
    served: int
    cancelled: bool
    scores: dict[str, dict[str, Json]]
    rows: int = 0
    failures: tuple[Failure, ...] = ()
    fault: str = ""
    unmatched: dict[str, Unmatched] = {}
    finish: dict[str, int] = {}
    times: dict[str, dict[str, float]] = {}


class PointMetrics(msgspec.Struct, frozen=True):
    """What a point's metrics.json holds besides its counts."""

    scores: dict[str, dict[str, Json]] = {}
    failures: tuple[Failure, ...] = ()
    unmatched: dict[str, Unmatched] = {}
    finish: dict[str, int] = {}
    times: dict[str, dict[str, float]] = {}


class RunOutcome(msgspec.Struct, frozen=True):
    """A run; ``state`` is pending, running, or how it ended: see docs/errors.md.

    Of every point ``expected = ok + errors + missing``. Of the whole run's ``ok + errors`` the points'
    ``served`` and the jobs' ``spent.cached`` came from the cache and ``spent.shared`` from equal requests of
    the run; the others had requests of their own, or could not be rendered. ``warnings`` say what does the
    run itself no harm; ``refused`` are points that it was begun without, which have no part in its state.
    """

    name: str
    path: str
    state: str
    exit_code: int
    jobs: tuple[JobOutcome, ...]
    points: tuple[PointOutcome, ...]
    warnings: tuple[str, ...] = ()
    refused: tuple[Refusal, ...] = ()


def run_outcome(run: RunFolder) -> RunOutcome:
    """Fold what is new and return how the run stands.

    Raises:
        UserError: a file of the run is damaged, or missing.
    """
    jobs = job_outcomes(run)
    mask_kept(run.path, Secrets.of_environment(secret_env(run)))
    check_whole(run)
    warnings: list[str] = []
    points = _points(run, fold_run(run, warnings.append))
    if any(job.state in UNDER_WAY and _answered(run, job, points) for job in jobs):
        # It may have ended since. Jobs come first again: points that are older than them would lack results.
        jobs, warnings = job_outcomes(run), []
        points = _points(run, fold_run(run, warnings.append))
    jobs = tuple(_spared(run, _as_folded(run, job, points), points) for job in jobs)
    state = _state(jobs, points)
    code = _EXIT_CODES.get(state, 1)
    refused = read_refused(run)
    warnings += damage(run, _specs(run))
    return RunOutcome(run.name, str(run.path), state, code, jobs, points, tuple(warnings), refused)


def _as_folded(run: RunFolder, job: JobOutcome, points: tuple[PointOutcome, ...]) -> JobOutcome:
    """Return a job with the count of its points: what it reported last is older, if it runs or was killed."""
    if not job.progress.total:
        return job
    own = {spec.name for spec in read_job(run.job(job.name)).points}
    done = sum(point.ok + point.errors for point in points if point.name in own)
    progress = msgspec.structs.replace(job.progress, done=min(done, job.progress.total))
    return msgspec.structs.replace(job, progress=progress)


def _spared(run: RunFolder, job: JobOutcome, points: tuple[PointOutcome, ...]) -> JobOutcome:
    """Return a job; of one that never started since the cache answered everything, with that for a reason."""
    if job.state != "not_submitted" or not _answered(run, job, points):
        return job
    return msgspec.structs.replace(job, reason=NOTHING_TO_ASK)


def _answered(run: RunFolder, job: JobOutcome, points: tuple[PointOutcome, ...]) -> bool:
    """Tell whether a job's points have all their results."""
    if all(point.missing for point in points):
        return False  # without a look at the files of a thousand jobs that wait
    own = {spec.name for spec in read_job(run.job(job.name)).points}
    return not any(point.missing for point in points if point.name in own)


def job_outcomes(run: RunFolder) -> tuple[JobOutcome, ...]:
    """Return how the jobs stand, without touching any record."""
    states = job_states(run.path, secret_env(run))
    return tuple(_job(folder, states[folder.name]) for folder in run.jobs)


def secret_env(run: RunFolder) -> tuple[str, ...]:
    """Return the variables that a run names as secret; all its jobs name the same."""
    for folder in run.jobs:
        with suppress(UserError):  # damaged, which its logs are to tell of
            return read_job(folder).secret_env
    return ()


def _job(folder: Path, state: JobState) -> JobOutcome:
    progress = Progress() if state.record is None else _progress(folder, state.record)
    log = None if state.attempt is None else state.attempt.path / STDERR_FILE
    known = str(log) if log is not None and log.exists() else None
    return JobOutcome(state.name, state.state, state.reason, progress, _spent(folder), known, state.slurm)


def _spent(folder: Path) -> Progress:
    """Sum what all attempts at a job sent and received."""
    states = [state for attempt in attempts(folder) if (state := read_state(attempt)) is not None]
    known = [_progress(folder, state) for state in states]
    names = ("cached", "shared", "requests", "prompt_tokens", "completion_tokens", "uncounted")
    retries: Counter[str] = Counter()
    for one in known:
        retries.update(one.retries)
    return Progress(**{name: sum(getattr(one, name) for one in known) for name in names}, retries=retries)


def _progress(folder: Path, state: State) -> Progress:
    try:
        return msgspec.convert(state.progress, Progress)
    except msgspec.ValidationError as error:
        raise UserError(f"{STATE_FILE} of an attempt in {folder} is damaged ({error}): {PUT_BACK}") from None


def _specs(run: RunFolder) -> list[PointSpec]:
    """Return the points of a run, in the experiment's order."""
    return sorted(
        (spec for folder in run.jobs for spec in read_job(folder).points), key=lambda spec: spec.index
    )


def _points(run: RunFolder, counts: dict[str, PointCounts]) -> tuple[PointOutcome, ...]:
    outcomes = []
    for spec in _specs(run):
        count = counts[spec.name]
        metrics = run.point(spec.name) / "metrics.json"
        known = read_file(metrics, PointMetrics, REMAKE) if metrics.exists() else PointMetrics()
        cancelled = (run.point(spec.name) / CANCELLED).exists()
        outcomes.append(
            PointOutcome(
                spec.name,
                spec.axes,
                count.expected,
                count.ok,
                count.errors,
                count.missing,
                count.served,
                cancelled,
                known.scores,
                spec.dataset.rows,
                known.failures,
                count.fault,
                known.unmatched,
                known.finish,
                known.times,
            )
        )
    return tuple(outcomes)


def _state(jobs: tuple[JobOutcome, ...], points: tuple[PointOutcome, ...]) -> str:
    states = {job.state for job in jobs}
    for state in ("running", "pending"):
        if state in states:
            return state
    if not any(point.missing for point in points if not point.cancelled):
        if any(point.fault for point in points):
            return "failed"
        if any(point.missing for point in points):
            return "cancelled"
        return "errors" if any(point.errors for point in points) else "complete"
    for state in ("interrupted", "cancelled"):
        if state in states:
            return state
    return "incomplete" if states <= {"complete", "incomplete", "timeout", "not_submitted"} else "failed"
