"""How a worker meets the signals of its cluster.

One signal means stop: SIGTERM, which Slurm sends on scancel, at the time limit and on preemption, with
SIGKILL after KillWait. Nothing needs saving beyond the state, because a killed worker loses no more
than the requests in flight; so there is no early warning to act on:

- submitit's own checkpoint-and-requeue answers SIGUSR2. It counts every such signal to a job of less
  than ten minutes as its time limit, and a job that reached its limit must not start again by itself
  (``resume`` does that). Jobs are submitted without an early signal, and a worker ignores SIGUSR2,
  which its children inherit: model servers would die of it.
- Preemption requeues by Slurm's own hand, except where the partition has a GraceTime: SIGTERM then
  comes before the requeue, and a worker that ends by itself counts as completed. Hence
  `requeue_if_preempted`.
"""

from __future__ import annotations

import os
import signal
import subprocess
from types import FrameType

from runner.launch.attempts import slurm_job_id

INTERRUPTED = 130
"""Exit code of a job that was told to stop."""

TOLD_TO_STOP = "told to stop"
"""What ended a job that got SIGTERM."""

GRACE_SECONDS = 10.0
"""How long requests in flight may finish once a worker was told to stop; Slurm's KillWait is 30 s."""


def take_over_signals() -> None:
    """Replace submitit's signal handlers, which swallow SIGTERM; call it before anything else in a worker.

    SIGTERM now raises KeyboardInterrupt, as Ctrl-C does, with a text, until an event loop handles both.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    signal.signal(signal.SIGCONT, signal.SIG_DFL)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt(TOLD_TO_STOP)


def requeue_if_preempted() -> bool:
    """Have Slurm start this job again if it is being preempted; call it once the state is written."""
    if slurm_job_id() is None:
        return False
    job = os.environ["SLURM_JOB_ID"]
    try:
        shown = subprocess.run(
            ["scontrol", "-o", "show", "job", job], capture_output=True, text=True, check=False, timeout=20
        )
        fields = dict(word.split("=", 1) for word in shown.stdout.split() if "=" in word)
        if fields.get("JobState") != "RUNNING" or fields.get("PreemptTime", "None") == "None":
            return False
        asked = subprocess.run(["scontrol", "requeue", job], capture_output=True, check=False, timeout=20)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return False
    return asked.returncode == 0
