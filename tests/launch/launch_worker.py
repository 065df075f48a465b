"""A worker that does what its job.json says; imported by name in the processes that the tests start."""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import ExitStack
from pathlib import Path

from runner.launch.attempts import Attempt, State, begin_attempt, write_state
from runner.launch.gpus import take_devices, visible_devices
from runner.launch.output import redirect_output
from runner.launch.preemption import requeue_if_preempted, take_over_signals
from runner.runs import CANCELLED


def work(job_dir: str) -> int:
    """Hold the job's devices until a file named ``go`` is in its folder, then end as job.json says.

    A job that was cancelled while it was being started is not begun.

    job.json may hold ``devices`` to lock, ``exit`` for the final state, ``crash`` for a last word,
    ``stubborn`` to leave SIGTERM unheard, ``seconds`` to work without waiting for ``go``.
    """
    take_over_signals()
    folder = Path(job_dir)
    if (folder / CANCELLED).exists():
        return 130
    job = json.loads((folder / "job.json").read_text())
    attempt = begin_attempt(folder)
    with redirect_output(attempt, job.get("secrets", ())):
        print("working with", job.get("secrets"), flush=True)
        try:
            return _work(folder, job, attempt, State.begin())
        except KeyboardInterrupt:
            write_state(attempt, State.begin().end("interrupted", 130, "told to stop"))
            requeue_if_preempted()
            return 130


def _work(folder: Path, job: dict[str, object], attempt: Attempt, state: State) -> int:
    count = int(str(job.get("devices", 0)))
    write_state(attempt, state.at({"phase": "waiting for a GPU"} if count else {}))
    with ExitStack() as stack:
        devices = stack.enter_context(take_devices(count)).ids if count else visible_devices()
        (attempt.path / "devices.txt").write_text(" ".join(devices))
        write_state(attempt, state.at({"phase": "asking"}))
        if job.get("stubborn"):
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            (attempt.path / "stubborn").touch()
        _wait(folder, job)
    if word := job.get("crash"):
        os.write(2, f"{word}\n".encode())
        os.kill(os.getpid(), signal.SIGKILL)
    write_state(attempt, state.end("complete", 0))
    return 0


def _wait(folder: Path, job: dict[str, object]) -> None:
    if "seconds" in job:
        time.sleep(float(str(job["seconds"])))
        return
    while not (folder / "go").exists() and not (folder.parent / "go").exists():
        time.sleep(0.02)
