"""One server process on this host, with everything it starts."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import socket
import subprocess
import sys
import time
import weakref
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from runner.errors import AskError, EngineStartError, RetryableError
from runner.masking import FINISH_SECONDS, Masking
from runner.servers import guard
from runner.servers.cause import IN_USE, causes

GRACE_SECONDS = 20.0
"""What a server has to end by itself; vLLM and SGLang take a few seconds."""

_POLL_SECONDS = 0.2
_ENDING_SECONDS = 0.02
_TAIL_BYTES = 1_000_000
_LONGEST_LINE = 500


class ServerExitedError(EngineStartError):
    """Raised when a server ended before it was ready, or while it was needed."""

    @property
    def port_taken(self) -> bool:
        """Whether somebody took its port first."""
        return IN_USE in self.message.lower()


_started: weakref.WeakSet[Server] = weakref.WeakSet()


def _disown_all() -> None:
    for server in _started:
        server.disown()


os.register_at_fork(after_in_child=_disown_all)


def free_port() -> int:
    """Return a port of 127.0.0.1 that nothing is bound to at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True, slots=True)
class ServerStart:
    """How a server is started.

    Attributes:
        name: what messages call it.
        command: its argument list.
        port: of 127.0.0.1, where it will listen.
        log: file that takes its output.
        env: variables beside this process's own.
        secrets: values that the log may not hold.
        held: descriptors kept open until it is gone, such as the locks of its devices.
        grace: seconds from SIGTERM to SIGKILL.
    """

    name: str
    command: Sequence[str]
    port: int
    log: Path
    env: Mapping[str, str] = field(default_factory=dict)
    held: Sequence[int] = ()
    grace: float = GRACE_SECONDS
    secrets: Sequence[str] = ()


class Server:
    """A command that serves on a port of 127.0.0.1, started when this is made.

    It and all its children are gone when `stop` returns, and within its grace of the end of this
    process, in whatever way that comes.
    """

    def __init__(self, start: ServerStart) -> None:
        self.name = start.name
        self.port = start.port
        self.log = start.log
        log = os.open(start.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        self._masking = Masking([log], start.secrets) if start.secrets else None
        output = self._masking.inlets[0] if self._masking is not None else log
        try:
            self._guard = subprocess.Popen(
                [sys.executable, guard.__file__, str(start.grace), *start.command],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **start.env},
                pass_fds=tuple(start.held),
                start_new_session=True,  # a Ctrl-C at the terminal is for the worker to hear
            )
        finally:
            os.close(output)
        _started.add(self)

    def disown(self) -> None:
        """Let go of the guard in a forked child, whose copy of the pipe would outlive this process."""
        assert self._guard.stdin is not None
        self._guard.stdin.close()

    @property
    def pid(self) -> int:
        """Of the process that guards it; the server and its children are below."""
        return self._guard.pid

    @property
    def exit_code(self) -> int | None:
        """How the server ended, or None while it runs."""
        return self._guard.poll()

    async def ready(self, probe: Callable[[], Awaitable[object]], within: float) -> None:
        """Wait until the server itself, no other process, listens on its port and answers *probe*.

        Raises:
            ServerExitedError: it ended instead.
            EngineStartError: it took longer than *within* seconds, or can't answer.
        """
        try:
            async with asyncio.timeout(within):
                while not await asyncio.to_thread(self._listens):
                    self.require_alive()
                    await asyncio.sleep(_POLL_SECONDS)
                await self._answers(probe)
        except TimeoutError:
            raise EngineStartError(
                f"{self.name} was not ready within {within:g} s (engine.startup_timeout); {self.told()}"
            ) from None

    async def _answers(self, probe: Callable[[], Awaitable[object]]) -> None:
        while True:
            try:
                await probe()
            except RetryableError:
                self.require_alive()
                await asyncio.sleep(_POLL_SECONDS)
            except AskError as error:
                self.require_alive()
                raise EngineStartError(
                    f"{self.name} started but can't answer one request: {error}; {self.told()}"
                ) from error
            else:
                return

    def require_alive(self) -> None:
        """Make sure that the server runs.

        Raises:
            ServerExitedError: it has ended.
        """
        if (code := self.exit_code) is not None:
            how = _ending(code)
            raise ServerExitedError(f"{self.name} {how}; {self.told()}")

    async def exited(self, within: float) -> bool:
        """Tell whether the server ends within some seconds."""
        return await _until(lambda: self.exit_code is not None, within)

    async def stop(self) -> None:
        """End the server and all its children; returns when they are gone."""
        assert self._guard.stdin is not None
        self._guard.stdin.close()
        await _until(lambda: self.exit_code is not None)
        if (masking := self._masking) is not None:
            await _until(lambda: masking.finished, FINISH_SECONDS)
            masking.finish(0)

    def told(self) -> str:
        """Return where the log is and why the server failed by what it says, on one line."""
        if self._masking is not None and self.exit_code is not None:
            self._masking.finish()
        shown = [line[:_LONGEST_LINE] for line in causes(_tail(self.log))]
        return f"{self.log}: {' | '.join(shown) or 'empty'}"

    def _listens(self) -> bool:
        """Tell whether one of the server's own processes listens on its port."""
        try:
            family = psutil.Process(self._guard.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return False
        return any(_listens_on(process, self.port) for process in family)


async def _until(done: Callable[[], bool], within: float = math.inf) -> bool:
    """Tell whether something is done within some seconds.

    Looks for itself: when the interpreter exits, asyncio has no thread left to wait in.
    """
    deadline = time.monotonic() + within
    while not done():
        if time.monotonic() >= deadline:
            return False
        await asyncio.sleep(_ENDING_SECONDS)
    return True


def _listens_on(process: psutil.Process, port: int) -> bool:
    try:
        connections = process.net_connections(kind="tcp")
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False
    return any(c.status == psutil.CONN_LISTEN and c.laddr.port == port for c in connections)


def _tail(log: Path) -> list[str]:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
        text = file.read().decode("utf-8", "replace")
    return [line.rstrip() for line in text.splitlines() if line.strip()]


_KILLED = " (as the system does where memory runs out, or Slurm at a job's memory limit)"


def _ending(code: int) -> str:
    number = code - 128
    if code > 128 and number in {s.value for s in signal.Signals}:  # noqa: PLR2004 - as the shell has it
        name = signal.Signals(number).name
        return f"was killed by {name}" + (_KILLED if number == signal.SIGKILL else "")
    return f"exited with code {code}"
