"""What runs inside an allocation: one job, from its job.json to its end."""

from __future__ import annotations

import asyncio
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec
import uvloop

from runner.asking import Asking
from runner.breaker import StoppedError
from runner.collector import spare_the_collector
from runner.engines.auto import chosen_among
from runner.engines.base import EngineContext
from runner.engines.limits import Limiter
from runner.engines.notes import Notes
from runner.engines.registry import engine_kinds
from runner.engines.retrying import Retrying
from runner.errors import RunnerError
from runner.failures import FailureLog
from runner.finishing import Desk
from runner.fold import logs_of
from runner.identity import require_same_model
from runner.inputs import check_code, check_dataset
from runner.jobs import Job, read_job
from runner.journal import Journal
from runner.known import Known
from runner.launch.attempts import Attempt, State, WorkerState, begin_attempt, write_state
from runner.launch.gpus import devices_of, take_devices
from runner.launch.output import redirect_output
from runner.launch.preemption import INTERRUPTED, TOLD_TO_STOP, requeue_if_preempted, take_over_signals
from runner.lookups import Lookups
from runner.open_files import max_in_flight, require_open_files
from runner.presence import RunGoneError, stopped_when_gone
from runner.progress import Counts
from runner.questions import OpenPoint
from runner.records import RECORDS_FILE, RecordLog
from runner.restored import environment, handlers_kept
from runner.runs import CANCELLED, RETRY_FINAL, RunFolder
from runner.secrets import Secrets
from runner.spec import SlurmCluster
from runner.terminal import write, write_error
from runner.values import count

TICK_SECONDS = 0.5
"""How often a worker says how far it is and looks whether a point was cancelled."""

_CTRL_C = "Ctrl-C"
_SIGNALS = {signal.SIGINT: _CTRL_C, signal.SIGTERM: TOLD_TO_STOP}


@dataclass(frozen=True, slots=True)
class _Ending:
    state: WorkerState
    exit_code: int
    error: str = ""
    gone: bool = False
    """There is no folder left to say so in."""


def run_job(job_dir: str, *, redirect: bool = True) -> int:
    """Run one job to its end and return its exit code: 0 complete, 1 failed, 3 incomplete, 130 interrupted.

    Args:
        job_dir: folder that holds job.json.
        redirect: send output into the attempt's folder; off where the job runs inside the command.
    """
    if redirect:
        take_over_signals()
    folder = Path(job_dir)
    if (folder / CANCELLED).exists():  # while it was being started
        return INTERRUPTED
    attempt = begin_attempt(folder)
    job = read_job(folder)
    secrets = Secrets.of(job.secret_env)
    with ExitStack() as stack:
        if redirect:
            stack.enter_context(redirect_output(attempt, secrets.plain))
            if note := chosen_among(job.points[0].notes):
                write(note)
        # A command that runs the job inside itself says all this in its own words.
        failures = FailureLog(write if redirect else lambda _: None)
        notes = Notes(partial(_print_note, secrets, write if redirect else write_error))
        ending = _Worker(folder, attempt, job, secrets, failures, notes).run()
        failures.sum_up()
        if ending.error and (redirect or ending.gone):
            write_error(ending.error)
        if ending.exit_code == INTERRUPTED:
            requeue_if_preempted()
        return ending.exit_code


def _print_note(secrets: Secrets, put: Callable[[str], None], message: str) -> None:
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    put(f"{now} note: {secrets.mask(message)}")


class _Worker:
    """One attempt at a job."""

    def __init__(
        self,
        folder: Path,
        attempt: Attempt,
        job: Job,
        secrets: Secrets,
        failures: FailureLog,
        notes: Notes,
    ) -> None:
        self._folder = folder
        self._run = RunFolder(folder.parent.parent)
        self._attempt = attempt
        self._job = job
        self._secrets = secrets
        self._failures = failures
        self._notes = notes
        self._counter = Counts()
        self._state = State.begin()
        self._held: tuple[int, ...] = ()

    def run(self) -> _Ending:
        """Run, and leave a final state behind, whatever happens but a kill or the loss of the run folder."""
        try:
            return self._work_to_end()
        except RunGoneError as error:
            ending = _Ending("failed", 1, str(error), gone=True)
            with suppress(OSError):  # where more is gone than the records
                self._end(ending)
            return ending
        except FileNotFoundError:
            if self._attempt.path.is_dir():
                raise
            return _Ending("failed", 1, f"{self._attempt.path} is gone", gone=True)

    def _work_to_end(self) -> _Ending:
        self._write()
        try:
            self._check_inputs()
            with self._devices(), handlers_kept(_SIGNALS):
                spare_the_collector()
                ending = uvloop.run(self._work())
        except (StoppedError, KeyboardInterrupt) as error:
            ending = _Ending("interrupted", INTERRUPTED, str(error) or _CTRL_C)
        except RunGoneError:
            raise
        except RunnerError as error:
            ending = _Ending("failed", 1, f"{type(error).__name__}: {self._secrets.mask(str(error))}")
        except BaseException as error:
            last = traceback.format_exception_only(error)[-1].strip()
            self._end(_Ending("failed", 1, self._secrets.mask(last)))
            raise
        return self._end(ending)

    def _end(self, ending: _Ending) -> _Ending:
        self._counter.phase = ""
        self._write()
        write_state(self._attempt, self._state.end(ending.state, ending.exit_code, ending.error))
        return ending

    def _write(self) -> None:
        self._state = self._state.at(msgspec.to_builtins(self._counter.snapshot()))
        write_state(self._attempt, self._state)

    def _phase(self, phase: str) -> None:
        self._counter.phase = phase
        self._write()

    def _check_inputs(self) -> None:
        """Stop if what the job reads is no longer what it was at launch."""
        self._phase("checking the dataset")
        for file in {point.dataset for point in self._job.points}:
            check_dataset(self._run.path, file)
        self._phase("checking the model")
        for point in self._job.points:
            check_code(point)
        point = self._job.points[0]
        experiment = point.experiment(self._run.path)
        kind = engine_kinds()[experiment.engine.kind]
        require_same_model(experiment.model, experiment.engine, kind, point.scope)

    @contextmanager
    def _devices(self) -> Iterator[None]:
        """Hold the GPUs that the job takes; on Slurm the allocation gives them."""
        cluster = self._job.points[0].experiment().cluster
        if not self._job.devices or isinstance(cluster, SlurmCluster):
            yield
            return
        self._phase("waiting for a GPU")
        with (
            take_devices(self._job.devices, devices_of(cluster)) as devices,
            environment(devices.environment),
        ):
            self._held = devices.locks
            yield

    async def _work(self) -> _Ending:
        points = [OpenPoint(spec, self._run.path) for spec in self._job.points]
        experiment = points[0].experiment
        kind = engine_kinds()[experiment.engine.kind]
        require_open_files(self._job)  # on Slurm, the node's limit shows only here
        cap = max_in_flight(experiment.engine, kind)
        context = EngineContext(
            experiment.topology,
            self._attempt.path,
            self._held,
            self._secrets.plain,
            experiment.task,
            self._notes,
        )
        engine = Retrying(
            kind.create(experiment.engine, experiment.model, context),
            experiment.engine.max_attempts,
            Limiter(cap),
            tell=lambda trouble: self._counter.tell(self._secrets.mask(trouble)),
            retried=self._counter.retry,
        )
        earlier = [path for path in logs_of(self._folder) if path.parent != self._attempt.path]
        with (
            RecordLog(self._attempt.path / RECORDS_FILE) as log,
            Known(self._attempt.path / RECORDS_FILE) as known,
        ):
            self._count_done(known, earlier)
            self._phase("starting the engine")
            async with (
                stopped_when_gone(log.gone, TICK_SECONDS),
                Journal(log, known, self._secrets) as journal,
                Lookups(self._run.cache if any(p.experiment.reads_cache for p in points) else None) as cache,
                engine,
            ):
                self._counter.start()
                self._phase("asking")
                desk = Desk(points, engine, journal, cache, self._counter, self._failures, cap)
                await self._ask(Asking(desk))
        return self._ending()

    async def _ask(self, asking: Asking) -> None:
        loop = asyncio.get_running_loop()
        for number, said in _SIGNALS.items():
            loop.add_signal_handler(number, asking.stop, StoppedError(said))
        await self._drop_cancelled(asking)  # before the first request; later ones are found by the ticker
        ticker = asyncio.create_task(self._tick(asking))
        try:
            await asking.run()
        finally:
            ticker.cancel()
            with suppress(asyncio.CancelledError):
                await ticker

    async def _tick(self, asking: Asking) -> None:
        while True:
            # What a filesystem doesn't do now is tried again: the answers must not suffer from it.
            with suppress(OSError):
                await self._drop_cancelled(asking)
                self._write()
            await asyncio.sleep(TICK_SECONDS)

    async def _drop_cancelled(self, asking: Asking) -> None:
        # In a thread: a thousand looks at a network filesystem would hold up every answer.
        for index in await asyncio.to_thread(self._cancelled):
            asking.drop(index)

    def _cancelled(self) -> list[int]:
        """Return the points that nothing more is to be asked for."""
        return [s.index for s in self._job.points if (self._run.point(s.name) / CANCELLED).exists()]

    def _count_done(self, known: Known, earlier: list[Path]) -> None:
        """Take stock of what the cache and earlier attempts have already finished."""
        retry_final = (self._folder / RETRY_FINAL).exists()
        for spec in self._job.points:
            folded = self._run.point(spec.name) / "cache.sqlite"
            if folded.exists():
                known.add_folded(spec.index, folded, retry_final=retry_final)
        # After what is folded, which may be older: of each row the newest word counts.
        for path in earlier:
            known.add_attempt(path, retry_final=retry_final)
        for spec in self._job.points:
            self._counter.total += spec.expected
            self._counter.done_of[spec.index] = known.count_done(spec.index)

    def _ending(self) -> _Ending:
        wanted = [s for s in self._job.points if not (self._run.point(s.name) / CANCELLED).exists()]
        missing = sum(spec.expected - self._counter.done_of[spec.index] for spec in wanted)
        if not wanted:
            return _Ending("cancelled", 1, "every point was cancelled")
        if missing > 0:
            return _Ending(
                "incomplete", 3, f"{count(missing, 'result')} missing: the engine failed to answer"
            )
        return _Ending("complete", 0)
