from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from runner.errors import RunnerError, UserError
from runner.launch import JobRequest, JobState, cancel, job_states, launch, read_submission
from runner.spec import SlurmCluster
from tests.launch.launch_kit import count, ended, make_run, requests, settle, wait_for
from tests.launch.launch_worker import work

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("slurm")]


def _asking(states: Mapping[str, JobState]) -> bool:
    return all(state.reason == "asking" for state in states.values())


def _requeued(states: Mapping[str, JobState]) -> bool:
    """Return whether the only job waits for its second attempt, or is in it."""
    (job,) = states.values()
    return job.attempt is not None and (job.state == "pending" or job.attempt.number == 2)


def _kill(state: JobState) -> None:
    assert state.record is not None
    os.kill(state.record.pid, signal.SIGKILL)


def _scontrol(*words: str) -> None:
    subprocess.run(["scontrol", *words], check=True)


def _id(state: JobState) -> str:
    assert state.slurm is not None
    return state.slurm


def test_twelve_jobs_share_ten_gpus(tmp_path: Path) -> None:
    """Ten work on distinct devices while two wait; all end complete, over two arrays of at most eleven."""
    run = make_run(tmp_path, {f"j{n:02}": {} for n in range(12)})
    jobs = [JobRequest(job.name, job.job_dir, 1) for job in requests(run)]
    launch(run, jobs, SlurmCluster(memory="100M"), work)
    full = settle(run, lambda s: sum(job.reason == "asking" for job in s.values()) == 10)
    used = {
        (state.node, (state.attempt.path / "devices.txt").read_text())
        for state in full.values()
        if state.attempt
    }
    (run / "jobs" / "go").touch()
    final = settle(run, ended)

    assert count(full, "pending") == 2
    assert len(used) == 10
    assert len({_id(state).partition("_")[0] for state in final.values()}) == 2
    assert count(final, "complete") == 12


def test_worker_killed_with_9_is_failed_and_resubmitted(tmp_path: Path) -> None:
    """Slurm's own word tells that the worker is dead, and a new submission completes the job."""
    run = make_run(tmp_path, {"a": {}, "b": {}})
    launch(run, requests(run), SlurmCluster(), work)
    _kill(settle(run, _asking)["a"])
    failed = settle(run, lambda s: s["a"].state == "failed")
    (run / "jobs" / "go").touch()
    settle(run, ended)
    launch(run, requests(run)[:1], SlurmCluster(), work)
    final = settle(run, ended)

    assert "Slurm says FAILED" in failed["a"].reason
    assert failed["a"].reason.endswith("task 0: Killed")
    assert failed["b"].state == "running"
    assert count(final, "complete") == 2
    assert (run / "jobs" / "a" / "2").is_dir()


def test_requeued_job_runs_again_as_a_new_attempt(tmp_path: Path) -> None:
    """``scontrol requeue`` starts the same job again; nothing is final until its second attempt ends."""
    run = make_run(tmp_path, {"a": {}})
    launch(run, requests(run), SlurmCluster(), work)
    _scontrol("requeue", _id(settle(run, _asking)["a"]))
    settle(run, _requeued)
    (run / "jobs" / "go").touch()
    final = settle(run, lambda s: s["a"].state not in {"pending", "running"})["a"]

    assert final.state == "complete"
    assert final.attempt is not None
    assert final.attempt.number == 2


def test_preempted_job_is_started_again(tmp_path: Path) -> None:
    """In a partition with a grace time a worker that leaves at once would count as completed."""
    run = make_run(tmp_path, {"a": {}})
    low = SlurmCluster(partition="low", sbatch={"exclusive": True, "nodelist": "n1"})
    launch(run, requests(run), low, work)
    settle(run, _asking)
    high = "sbatch --partition=high --exclusive --nodelist=n1 --output=/dev/null --wrap true"
    subprocess.run(high.split(), check=True, stdout=subprocess.DEVNULL)
    settle(run, lambda s: s["a"].attempt is not None and s["a"].state == "pending")
    (run / "jobs" / "go").touch()
    final = settle(run, ended)["a"]

    assert final.state == "complete"
    assert final.attempt is not None
    assert final.attempt.number == 2


def test_job_at_its_time_limit_ends_as_timeout(tmp_path: Path) -> None:
    """It is neither failed nor requeued, and its worker had time to say that it was told to stop."""
    run = make_run(tmp_path, {"a": {}})
    launch(run, requests(run), SlurmCluster(time="1"), work)
    _scontrol("update", f"JobId={_id(settle(run, _asking)['a'])}", "EndTime=now+1")
    state = settle(run, ended)["a"]

    assert (state.state, state.reason) == ("timeout", "reached its time limit")
    assert state.record is not None
    assert state.record.state == "interrupted"


def test_cancel_takes_pending_and_running_jobs(tmp_path: Path) -> None:
    """One job of three is left alone."""
    run = make_run(tmp_path, {"a": {}, "b": {}, "c": {}})
    launch(run, requests(run), SlurmCluster(array_parallelism=2), work)
    settle(run, lambda s: sum(job.reason == "asking" for job in s.values()) == 2)
    stopped = cancel(run, ["a", "c"])
    states = settle(run, lambda s: count(s, "cancelled") == 2)

    assert stopped == ["a", "c"]
    assert states["b"].state == "running"


def test_scancel_by_hand_is_seen_as_cancelled(tmp_path: Path) -> None:
    """Slurm's own answer is enough; no marker of ours is needed."""
    run = make_run(tmp_path, {"a": {}})
    launch(run, requests(run), SlurmCluster(), work)
    subprocess.run(["scancel", _id(settle(run, _asking)["a"])], check=True)
    state = settle(run, ended)["a"]

    assert (state.state, state.reason) == ("cancelled", "cancelled")


def test_arrays_are_chunked_and_their_limit_is_kept(tmp_path: Path) -> None:
    """Twenty-five held jobs make arrays of 11, 11 and 3; each waits for the one before it."""
    run = make_run(tmp_path, {f"j{n:02}": {} for n in range(25)})
    launch(run, requests(run), SlurmCluster(array_parallelism=4, sbatch={"hold": True}), work)
    states = job_states(run)
    arrays = [_id(states[name]).partition("_")[0] for name in sorted(states)]
    shown = subprocess.run(
        ["squeue", "-h", "-o", "%A %E %K"], check=True, capture_output=True, text=True
    ).stdout
    cancel(run)

    assert count(states, "pending") == 25
    assert {state.reason for state in states.values()} <= {"JobHeldUser", "Dependency"}
    assert [arrays.count(array) for array in dict.fromkeys(arrays)] == [11, 11, 3]
    assert f"afterany:{arrays[0]}_*" in shown
    assert f"afterany:{arrays[11]}_*" in shown


def test_refused_submission_is_told_in_sbatchs_words(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A partition that doesn't exist is one clear message, and nothing is recorded."""
    run = make_run(tmp_path, {"a": {}, "b": {}})
    with pytest.raises(UserError, match=r"sbatch refused the jobs: .*[Ii]nvalid partition.*nope"):
        launch(run, requests(run), SlurmCluster(partition="nope"), work)

    assert count(job_states(run), "not_submitted") == 2
    assert capfd.readouterr() == ("", "")


def test_submission_refused_midway_keeps_what_is_submitted(tmp_path: Path) -> None:
    """The error names the first job that is missing; the earlier ones can be cancelled."""
    run = make_run(tmp_path, {"a": {}, "b": {}})
    jobs = [JobRequest("a", run / "jobs" / "a", 1), JobRequest("b", run / "jobs" / "b", 9)]
    with pytest.raises(RunnerError, match=r"from b on: .*not available; those before") as caught:
        launch(run, jobs, SlurmCluster(), work)

    assert not isinstance(caught.value, UserError)
    assert job_states(run)["a"].active
    assert cancel(run) == ["a"]


def test_environment_and_setup_come_before_the_worker(tmp_path: Path) -> None:
    """Env is exported verbatim, then the setup lines run, and sbatch flags are passed on."""
    run = make_run(tmp_path, {"a": {"seconds": 0}})
    seen = tmp_path / "seen"
    cluster = SlurmCluster(
        cpus=2,
        env={"GREETING": "it's $HOME"},
        setup=(
            f'printf "%s|%s|" "$GREETING" "$SLURM_CPUS_PER_TASK" > {seen}',
            f"scontrol show job $SLURM_JOB_ID >> {seen}",
        ),
        sbatch={"comment": "two words", "exclusive": False},
    )
    launch(run, requests(run), cluster, work)
    final = settle(run, ended)

    assert final["a"].state == "complete"
    assert seen.read_text().startswith("it's $HOME|2|")
    assert "Comment=two words" in seen.read_text()


def test_secrets_that_setup_prints_are_masked(tmp_path: Path) -> None:
    """Slurm writes these logs itself; the worker masks them at its start, and keeps their length."""
    run = make_run(tmp_path, {"a": {"secrets": ["hunter22"], "seconds": 0}})
    launch(run, requests(run), SlurmCluster(setup=("echo out hunter22; echo err hunter22 >&2",)), work)
    job_id = settle(run, ended)["a"].slurm
    out, err = (run / "submitit" / f"{job_id}_0_log.{kind}" for kind in ("out", "err"))
    wait_for(lambda: "Exiting after successful completion" in out.read_text())

    assert out.read_text().startswith("out ********\nsubmitit INFO")
    assert err.read_text() == "err ********\n"


def test_worker_that_never_started_is_failed_with_its_log(tmp_path: Path) -> None:
    """A setup line that fails is the reason, found in submitit's log."""
    run = make_run(tmp_path, {"a": {}})
    launch(run, requests(run), SlurmCluster(setup=("echo no such module >&2; exit 7",)), work)
    state = settle(run, ended)["a"]

    assert (state.state, state.attempt) == ("failed", None)
    assert state.reason.endswith("last error: no such module")


def test_forgotten_job_is_lost(tmp_path: Path) -> None:
    """Slurm forgets ended jobs; without a final state of the worker nobody knows more."""
    run = make_run(tmp_path, {"a": {}})
    launch(run, requests(run), SlurmCluster(sbatch={"hold": True}), work)
    submission = read_submission(run / "jobs" / "a")
    assert submission is not None
    cancel(run, mark=False)
    file = run / "jobs" / "a" / "submission.json"
    file.write_text(file.read_text().replace(f'"{submission.id}"', '"99999"'))
    state = job_states(run)["a"]

    assert (state.state, state.reason) == ("lost", "Slurm no longer knows job 99999")


def test_silent_slurm_leaves_the_files_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where squeue can't be asked, a running job isn't called dead, and the reason says why."""
    run = make_run(tmp_path, {"a": {}})
    launch(run, requests(run), SlurmCluster(), work)
    settle(run, _asking)
    with monkeypatch.context() as broken:
        broken.setenv("PATH", str(tmp_path))
        state = job_states(run)["a"]

    assert state.state == "running"
    assert state.reason.startswith("Slurm does not answer: there is no squeue")
