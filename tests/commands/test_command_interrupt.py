"""A command that is told to stop, and commands that come upon one another."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from runner.config import compose
from runner.launch import job_states
from runner.launch.attempts import attempts
from runner.launch.preemption import INTERRUPTED
from runner.plan import make_plan
from runner.prepare import specify, write_run
from runner.runs import CANCELLED, RunFolder, all_runs
from runner.work import run_job
from tests.commands.commands_kit import Project
from tests.commands.conftest import MakeProject
from tests.launch.launch_kit import ROOT, wait_for

TWO_JOBS = ("sums.yaml", "-m", "sampling.temperature=0,1", "cluster.max_jobs=2", "engine.concurrency=1")


def _start(
    made: Project, *words: str, reached: Callable[[RunFolder], bool] | None = None
) -> tuple[subprocess.Popen[str], RunFolder]:
    """Start ``runner run`` and return once its first job asks, or has *reached* what is named."""
    process = subprocess.Popen(
        [sys.executable, "-m", "runner", "run", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        start_new_session=True,
    )
    runs = made.root / "runs"
    wait_for(lambda: process.poll() is not None or any(map(reached or _asks, all_runs(runs))))
    assert process.poll() is None, process.communicate()[0]
    return process, made.last


def _asks(run: RunFolder) -> bool:
    return any(state.reason == "asking" for state in job_states(run.path).values())


def _is_started(run: RunFolder) -> bool:
    return any(run.path.glob("jobs/*/submission.json"))


def _begun(run: RunFolder) -> list[str]:
    return sorted(path.parent.name for path in run.path.glob("jobs/*/1"))


def test_ctrl_c_stops_every_inline_job(project: MakeProject) -> None:
    """The job that runs is stopped, the next is never begun, and a resume does both."""
    made = project({})
    process, run = _start(made, *TWO_JOBS, "engine.latency=0.3")
    os.killpg(process.pid, signal.SIGINT)
    printed = process.communicate(timeout=60)[0]

    assert process.returncode == 130, printed
    assert f"interrupted; what was answered is kept\n    go on with: runner resume {run.name}" in printed
    assert _begun(run) == ["0-parrot"]
    assert made.ran("status", code=130).lines[0].startswith(f"{run.name}  interrupted")
    made.ran("resume")


def test_cancel_stops_every_inline_job(project: MakeProject) -> None:
    """Cancelled from another terminal, the command ends without beginning the next job."""
    made = project({})
    process, run = _start(made, *TWO_JOBS, "engine.latency=1")
    cancelled = made.ran("cancel", "last")
    printed = process.communicate(timeout=60)[0]

    assert cancelled.lines[0] == f"cancelled 2 jobs of {run.name}: 0-parrot, 1-parrot"
    assert process.returncode == 1, printed
    assert _begun(run) == ["0-parrot"]
    assert {state.state for state in job_states(run.path).values()} == {"cancelled"}


def test_ctrl_c_lets_a_local_worker_say_how_it_ended(project: MakeProject) -> None:
    """Answers slower than the worker's grace leave it interrupted, not killed."""
    process, run = _start(project({}), "sums.yaml", "cluster=local", "engine.latency=120")
    os.killpg(process.pid, signal.SIGINT)
    printed = process.communicate(timeout=60)[0]

    assert process.returncode == 130, printed
    assert job_states(run.path)["0-parrot"].state == "interrupted"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_command_told_to_end_says_what_goes_on(project: MakeProject, number: signal.Signals) -> None:
    """Its jobs are left alone, and the last lines tell how to follow and how to stop them."""
    made = project({})
    process, run = _start(made, "sums.yaml", "cluster=local", "engine.latency=2", "engine.concurrency=1")
    os.kill(process.pid, number)
    printed = process.communicate(timeout=60)[0]

    assert process.returncode == 130, printed
    assert printed.endswith(
        f"runner: interrupted; the jobs go on: runner status {run.name} --watch\n"
        f"    to stop them: runner cancel {run.name}\n"
    )
    assert job_states(run.path)["0-parrot"].state == "running"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_inline_jobs_end_with_their_command(project: MakeProject, number: signal.Signals) -> None:
    """What the command itself runs can't go on without it: the present job is stopped, the next not begun."""
    made = project({})
    process, run = _start(made, *TWO_JOBS, "engine.latency=1")
    os.kill(process.pid, number)
    printed = process.communicate(timeout=60)[0]

    assert process.returncode == 130, printed
    assert f"go on with: runner resume {run.name}" in printed
    assert _begun(run) == ["0-parrot"]
    assert job_states(run.path)["0-parrot"].state == "interrupted"


def test_ctrl_c_before_the_worker_is_up_interrupts_the_job(project: MakeProject) -> None:
    """It is too young to say how it ended, but nobody killed it: a resume goes on."""
    made = project({})
    process, run = _start(made, "sums.yaml", "cluster=local", reached=_is_started)
    os.kill(process.pid, signal.SIGINT)
    process.communicate(timeout=60)

    state = job_states(run.path)["0-parrot"]
    assert (state.state, state.reason) == ("interrupted", "Ctrl-C")
    assert made.ran("status", code=INTERRUPTED).lines[0].split()[1].startswith("interrupted")
    made.ran("resume")
    assert job_states(run.path)["0-parrot"].state == "complete"


def test_further_ctrl_c_stops_at_once_and_says_how_to_go_on(project: MakeProject) -> None:
    """A worker that waits for its answers is not waited for any longer."""
    process, run = _start(project({}), "sums.yaml", "cluster=local", "engine.latency=120")
    while process.poll() is None:
        os.kill(process.pid, signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(1)
    printed = process.communicate(timeout=60)[0]

    assert printed.endswith(f"go on with: runner resume {run.name}\n"), printed
    assert not job_states(run.path)["0-parrot"].active


def test_signals_are_named_by_what_they_mean(project: MakeProject) -> None:
    """Nothing of a signal's own name stands in what a command prints or a job's state holds."""
    process, run = _start(project({}), "sums.yaml", "engine.latency=1", "engine.concurrency=1")
    os.kill(process.pid, signal.SIGINT)
    printed = process.communicate(timeout=60)[0]

    assert "SIGINT" not in printed
    assert "\nCtrl-C\n" not in printed
    assert job_states(run.path)["0-parrot"].reason == "Ctrl-C"


def test_run_that_is_being_made_is_not_resumed(project: MakeProject) -> None:
    """From the moment that a run can be seen until its jobs are launched, nobody else launches them."""
    made = project({})
    plan = make_plan(compose("sums.yaml", ()))
    with ExitStack() as held:
        run = write_run(plan, specify(plan), ["runner", "run"], held)
        refused = made.ran("resume", code=2)

    assert refused.err.startswith(
        f"runner: {run.name} is being launched by runner run, process {os.getpid()}"
    )
    made.ran("resume")


def test_run_followed_is_not_being_launched(project: MakeProject) -> None:
    """Once its jobs are launched they speak for themselves: a resume names them."""
    made = project({})
    process, run = _start(made, "sums.yaml", "cluster=local", "engine.latency=0.6", "engine.concurrency=1")
    refused = made.ran("resume", code=2)
    process.communicate(timeout=60)

    assert f"{run.name} is under way: 0-parrot (running" in refused.err
    assert process.returncode == 0


def test_log_is_named_only_where_there_is_one(project: MakeProject) -> None:
    """Inline jobs print to the terminal and leave no log; local ones leave theirs."""
    made = project({})
    failing = ("engine.error=authentication", "engine.error_rate=1")
    inline = made.ran("run", "sums.yaml", *failing, code=1)
    local = made.ran("run", "sums.yaml", *failing, "cluster=local", code=1)

    assert [line for line in inline.lines if "log:" in line] == []
    logs = [line.split()[1] for line in local.lines if "log:" in line]
    assert [Path(log).exists() for log in logs] == [True]


@pytest.mark.parametrize("command", ["status", "cancel", "logs"])
def test_looking_on_does_not_load_the_worker(command: str) -> None:
    """What asks nobody anything loads no event loop."""
    program = f"import sys, runner.commands.{command}; print({{'uvloop', 'runner.work'}} & set(sys.modules))"
    printed = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)

    assert printed.stdout == "set()\n"


_INTERRUPTED = """
import os, signal, sys
from runner.cli import main

def hook(event, arguments):
    if event == "open" and os.path.basename(str(arguments[0])) == ".lock":
        signal.raise_signal(signal.SIGINT)

sys.addaudithook(hook)
sys.exit(main(sys.argv[1:]))
"""
"""The command line, with a Ctrl-C as soon as it is about to fold a run or to serve it from the cache."""


@pytest.mark.parametrize("command", ["run sums.yaml", "resume"])
def test_ctrl_c_before_the_launch_says_how_to_go_on(project: MakeProject, command: str) -> None:
    """The run is on disk by then, and can be resumed."""
    made = project({})
    if command == "resume":
        made.prepare()
    done = subprocess.run(
        [sys.executable, "-c", _INTERRUPTED, *command.split()],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 130
    assert f"go on with: runner resume {made.last.name}" in done.stderr
    made.ran("resume")


def test_job_cancelled_while_it_is_started_asks_nothing(project: MakeProject) -> None:
    """Its worker heeds the mark that it finds; there is no process yet that a signal could reach."""
    run = project({}).prepare()
    (job,) = run.jobs
    (job / CANCELLED).touch()

    assert run_job(str(job), redirect=False) == INTERRUPTED
    assert attempts(job) == []
