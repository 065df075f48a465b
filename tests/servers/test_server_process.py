from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import psutil
import pytest

from runner.errors import BadRequestError, ConnectionFailedError, EngineStartError
from runner.servers import Server, ServerExitedError, ServerStart, free_port
from tests.servers import stub_program

PROGRAM = stub_program.__file__


def serve(tmp_path: Path, *options: str, port: int | None = None, **start: Any) -> Server:
    """Start the stub program as a server."""
    port = port or free_port()
    command = [sys.executable, PROGRAM, str(port), *options]
    return Server(ServerStart("stub", command, port, tmp_path / "server-0.log", **start))


def answering(port: int) -> None:
    """Ask the server once."""
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).close()
    except OSError as error:
        raise ConnectionFailedError(str(error)) from error


async def until_ready(server: Server, within: float = 20.0) -> None:
    await server.ready(lambda: asyncio.to_thread(answering, server.port), within)


def family(server: Server) -> list[psutil.Process]:
    """Return every process of a server: its guard and all below it."""
    guard = psutil.Process(server.pid)
    return [guard, *guard.children(recursive=True)]


def test_server_is_ready_and_gone_after_stop(tmp_path: Path) -> None:
    """No process of its family is left when stop returns."""

    async def go() -> list[psutil.Process]:
        server = serve(tmp_path)
        await until_ready(server)
        processes = family(server)
        await server.stop()
        return processes

    processes = asyncio.run(go())
    assert len(processes) == 2
    assert not any(process.is_running() for process in processes)


def test_stubborn_family_is_killed_after_the_grace(tmp_path: Path) -> None:
    """A server and a child in another session, both deaf to SIGTERM, end all the same."""

    async def go() -> list[psutil.Process]:
        server = serve(tmp_path, "--stubborn", "--child", str(tmp_path / "pid"), grace=0.3)
        await until_ready(server)
        processes = family(server)
        await server.stop()
        return processes

    processes = asyncio.run(go())
    assert len(processes) == 3
    assert not any(process.is_running() for process in processes)


def test_orphans_of_a_crashed_server_are_killed(tmp_path: Path) -> None:
    """The server is killed with -9; the child it leaves behind doesn't outlive it, and has no grace."""

    async def go() -> psutil.Process:
        server = serve(tmp_path, "--child", str(tmp_path / "pid"), grace=600)
        await until_ready(server)
        child = psutil.Process(int((tmp_path / "pid").read_text()))
        family(server)[1].kill()
        assert await server.exited(within=20.0)
        with pytest.raises(ServerExitedError, match="stub was killed by SIGKILL"):
            server.require_alive()
        await server.stop()
        return child

    assert not asyncio.run(go()).is_running()


def test_server_dies_with_a_killed_worker(tmp_path: Path) -> None:
    """The process that started it is killed with -9, and nothing of it is left."""
    code = (
        "import asyncio, sys, time; from pathlib import Path\n"
        "from tests.servers.test_server_process import *\n"
        f"server = serve(Path({str(tmp_path)!r}), '--child', {str(tmp_path / 'pid')!r}, grace=0.3)\n"
        "asyncio.run(until_ready(server))\n"
        "print(*(p.pid for p in family(server)), flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        processes = [psutil.Process(int(pid)) for pid in worker.stdout.readline().split()]
        worker.send_signal(signal.SIGKILL)
    gone, alive = psutil.wait_procs(processes, timeout=20)

    assert len(gone) == 3
    assert not alive


def test_locks_of_devices_are_held_until_the_server_is_gone(tmp_path: Path) -> None:
    """A worker that lets go of its lock doesn't free the device under a server that still ends."""
    with (tmp_path / "gpu.lock").open("w") as lock, (tmp_path / "gpu.lock").open() as other:
        fcntl.flock(lock, fcntl.LOCK_EX)

        async def go() -> None:
            server = serve(tmp_path, held=[lock.fileno()])
            await until_ready(server)
            lock.close()
            with pytest.raises(BlockingIOError):
                fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
            await server.stop()
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)

        asyncio.run(go())


def test_another_process_on_the_port_is_not_taken_for_the_server(tmp_path: Path) -> None:
    """Whoever took the port first answers, and is not ours; our own server says so and ends."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        server = serve(tmp_path, port=other.getsockname()[1])

        async def go() -> None:
            with pytest.raises(ServerExitedError) as caught:
                await until_ready(server)
            assert caught.value.port_taken
            await server.stop()

        asyncio.run(go())


def test_server_that_fails_tells_why(tmp_path: Path) -> None:
    """The error names the exit code, the log and its telling line."""

    async def go() -> str:
        server = serve(tmp_path, "--die", "3")
        with pytest.raises(ServerExitedError) as caught:
            await until_ready(server)
        await server.stop()
        return str(caught.value)

    message = asyncio.run(go())
    assert "stub exited with code 3" in message
    assert str(tmp_path / "server-0.log") in message
    assert "ValueError: the weights are not here" in message


def test_log_of_a_server_holds_no_secret(tmp_path: Path) -> None:
    """Nor does what is told of its end."""

    async def go() -> str:
        server = serve(tmp_path, "--die", "3", secrets=["the weights"])
        with pytest.raises(ServerExitedError) as caught:
            await until_ready(server)
        await server.stop()
        return caught.value.message

    assert asyncio.run(go()).endswith("ValueError: *** are not here")
    assert (tmp_path / "server-0.log").read_text() == "ValueError: *** are not here\n"


def test_missing_program_is_told(tmp_path: Path) -> None:
    """A command that isn't there is an engine that can't be started."""

    async def go() -> None:
        server = Server(ServerStart("stub", ["/no/such/program"], free_port(), tmp_path / "log"))
        with pytest.raises(ServerExitedError, match=r"/no/such/program: No such file"):
            await until_ready(server)
        await server.stop()

    asyncio.run(go())


def test_server_that_never_listens_runs_into_the_time_out(tmp_path: Path) -> None:
    """startup_timeout is named, and the server is still ended."""

    async def go() -> None:
        command = [sys.executable, "-c", "import time; time.sleep(600)"]
        server = Server(ServerStart("stub", command, free_port(), tmp_path / "log"))
        with pytest.raises(EngineStartError, match=r"not ready within 0\.5 s \(engine\.startup_timeout\)"):
            await until_ready(server, within=0.5)
        await server.stop()

    asyncio.run(go())


def test_server_that_refuses_its_first_request_is_no_server(tmp_path: Path) -> None:
    """An answer that no retry will mend ends the start at once."""

    async def refused() -> None:
        raise BadRequestError("no such model", 404)

    async def go() -> None:
        server = serve(tmp_path)
        with pytest.raises(
            EngineStartError, match="started but can't answer one request: HTTP 404: no such model"
        ):
            await server.ready(refused, 20.0)
        await server.stop()

    asyncio.run(go())


def test_free_ports_can_be_bound() -> None:
    """Nothing listens on a port that is said to be free."""
    with socket.create_server(("127.0.0.1", free_port())) as bound:
        assert os.fstat(bound.fileno())
