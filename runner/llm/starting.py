"""Starts an LLM's engine in a process that isn't its own: beside other engines, and a user's own work."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from runner.engines.base import EngineContext, EngineKind
from runner.engines.limits import Limiter
from runner.engines.notes import Notes
from runner.engines.retrying import Retrying
from runner.engines.served import ServerSettings
from runner.engines.served_engine import ServedEngine
from runner.engines.sleeping import SLEEPERS, Sleeper
from runner.errors import ConfigError, EngineStartError, Fault, UserError
from runner.launch.gpus import Devices, offered_devices, take_devices
from runner.llm.process import here
from runner.llm.wording import about_devices
from runner.plan import PlannedPoint
from runner.secrets import Secrets
from runner.tasks import engine_start
from runner.terminal import escape

_log = logging.getLogger("runner")
LOGS = ".llm"
"""Folder beside the runs for the logs of servers; each goes with its server, unless that could not start."""


@dataclass(frozen=True, slots=True)
class Started:
    """An engine that runs, and what puts it to sleep if it can."""

    engine: Retrying
    sleeper: Sleeper | None = None


def embedded(kind: EngineKind) -> bool:
    """Tell whether a kind loads its model into this process itself."""
    return kind.capabilities.local and not issubclass(kind.settings, ServerSettings)


def wants_log(point: PlannedPoint) -> bool:
    """Tell whether a server is started, which writes a log."""
    return not embedded(point.kind) and point.kind.loads(point.experiment.engine)


def log_folder(runs: Path) -> Path:
    """Make a folder for one server's log."""
    folder = runs / LOGS / f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"
    folder.mkdir(parents=True)
    return folder


async def started(
    point: PlannedPoint,
    folder: Path | None,
    hidden: Secrets,
    tell: Callable[[str], None],
    stack: AsyncExitStack,
) -> Started:
    """Start a point's engine; *stack* ends it.

    Raises:
        EngineStartError: it can't be started.
        UserError: there are not as many GPUs as it takes.
    """
    experiment, kind = point.experiment, point.kind
    settings = experiment.engine
    count = kind.devices(settings, experiment.topology)
    async with AsyncExitStack() as own:
        if embedded(kind):
            own.enter_context(_embedding(kind, on_gpus=count > 0))
        devices = await _devices(count)
        own.callback(devices.release)
        if devices.ids and isinstance(settings, ServerSettings):
            # Not this process's environment: others in it may use other devices.
            settings = settings.model_copy(update={"env": {**devices.environment, **settings.env}})
        elif devices.ids:
            os.environ.update(devices.environment)
        notes = Notes(lambda message: _log.warning("%s", escape(hidden.mask(message))))
        context = EngineContext(
            experiment.topology, folder or Path(), devices.locks, hidden.plain, experiment.task, notes
        )
        bare = kind.create(settings, experiment.model, context)
        engine = Retrying(bare, settings.max_attempts, Limiter(most_in_flight(point)), tell=tell)
        await own.enter_async_context(engine)
        stack.push_async_exit(own.pop_all())
    if isinstance(bare, ServedEngine) and isinstance(settings, ServerSettings) and kind.name in SLEEPERS:
        return Started(engine, Sleeper(settings, bare))
    return Started(engine)


def check_start(point: PlannedPoint, begun: str) -> None:
    """Refuse a task that the engine that runs was not started for; a server at an address takes any.

    Args:
        point: what is asked.
        begun: the task it was started with.

    Raises:
        ConfigError: it needs a start of its own.
    """
    task = point.experiment.task
    if point.kind.loads(point.experiment.engine) and engine_start(task) != engine_start(begun):
        problem = f"engine {point.kind.name} was started for {begun}, and {task} needs a start of its own"
        raise ConfigError([Fault("task", problem, "make another LLM for it, or close this one first")])


def check_sleep(point: PlannedPoint, level: int = 1) -> None:
    """Refuse what a point's engine doesn't do.

    Raises:
        ConfigError: it can't sleep, or not so.
    """
    name = point.kind.name
    if name not in SLEEPERS:
        can = f"can: {', '.join(SLEEPERS)}"
        raise ConfigError([Fault("engine.kind", f"engine {name} can't sleep", can)])
    if level not in (levels := SLEEPERS[name].sleep):
        known = ", ".join(map(str, levels))
        raise ConfigError([Fault("level", f"{level} given, engine {name} knows {known}")])


def most_in_flight(point: PlannedPoint) -> int:
    """Return how many requests are sent at once at most."""
    chosen = point.experiment.engine.concurrency
    return point.kind.capabilities.concurrency if chosen == "auto" else chosen


@contextmanager
def _embedding(kind: EngineKind, *, on_gpus: bool) -> Iterator[None]:
    """Note that a kind is about to load a model into this process, and until when.

    Raises:
        EngineStartError: a fork has left half of the library behind, or the process's GPUs are taken.
    """
    if kind.name in here.inherited:
        raise EngineStartError(
            f"{kind.name} had loaded a model into the process that this one was forked from, and can't be "
            'used after that: start workers with the method "spawn", or let none but workers ask'
        )
    if on_gpus and here.on_gpus:
        raise EngineStartError("this process has another model on its GPUs: close that LLM first")
    here.embedded.add(kind.name)
    here.on_gpus |= on_gpus
    try:
        yield
    finally:
        here.on_gpus &= not on_gpus


async def _devices(count: int) -> Devices:
    """Wait for GPUs, in a thread that holds up no exit."""
    if not count:
        return Devices()
    loop = asyncio.get_running_loop()
    taken: asyncio.Future[Devices] = loop.create_future()

    def take() -> None:
        try:
            devices = take_devices(count, offered_devices())
        except UserError as error:
            loop.call_soon_threadsafe(_refuse, taken, UserError(about_devices(str(error))))
        else:
            loop.call_soon_threadsafe(_give, taken, devices)

    threading.Thread(target=take, name="runner-gpus", daemon=True).start()
    return await taken


def _give(taken: asyncio.Future[Devices], devices: Devices) -> None:
    if taken.done():
        devices.release()  # nobody waits any more
    else:
        taken.set_result(devices)


def _refuse(taken: asyncio.Future[Devices], error: UserError) -> None:
    if not taken.done():
        taken.set_exception(error)
