from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from runner.errors import RunnerError, UserError
from runner.launch import cancel, job_states, launch, read_submission
from runner.launch.attempts import State
from runner.launch.local import stop
from runner.launch.processes import find_process, is_running, session_members
from runner.runs import CANCELLED
from runner.spec import InlineCluster, LocalCluster, SlurmCluster
from tests.launch.launch_kit import ROOT, ended, make_run, requests, settle, submit_and, wait_for
from tests.launch.launch_worker import work


def _record(run: Path, name: str) -> State:
    record = job_states(run)[name].record
    assert record is not None
    return record


def _is_asking(run: Path, name: str) -> bool:
    state = job_states(run)[name]
    return state.state == "running" and state.reason == "asking"


def test_local_jobs_run_side_by_side_and_end_complete(tmp_path: Path) -> None:
    """Each job is a process of its own, in a session of its own, and all start at once."""
    run = make_run(tmp_path, {"a": {}, "b": {}})
    statuses = launch(run, requests(run), LocalCluster(), work)
    states = settle(run, lambda s: all(j.state == "running" and j.reason == "asking" for j in s.values()))
    pids = {_record(run, name).pid for name in states}
    (run / "jobs" / "go").touch()
    final = settle(run, ended)

    assert statuses == ()
    assert len({os.getsid(0), *pids}) == 3
    assert [(j.state, j.attempt and j.attempt.number) for j in final.values()] == [("complete", 1)] * 2


def test_local_job_survives_its_submitter(tmp_path: Path) -> None:
    """The command that submitted can be killed with its whole process group; the job goes on."""
    run = make_run(tmp_path, {"a": {}})
    program = (
        "import sys, time; from pathlib import Path; from tests.launch import launch_kit, launch_worker;"
        "from runner.launch import launch; from runner.spec import LocalCluster; run = Path(sys.argv[1]);"
        "launch(run, launch_kit.requests(run), LocalCluster(), launch_worker.work);"
        "print('submitted', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(run)], stdout=subprocess.PIPE, cwd=ROOT, start_new_session=True
    ) as submitter:
        assert submitter.stdout is not None
        assert submitter.stdout.readline() == b"submitted\n"
        os.killpg(submitter.pid, signal.SIGKILL)
    (run / "jobs" / "go").touch()
    final = settle(run, ended)

    assert final["a"].state == "complete"


def test_worker_killed_with_9_is_failed_with_its_last_words(tmp_path: Path) -> None:
    """A worker that left no final state is told from one that still runs."""
    run = make_run(tmp_path, {"a": {"seconds": 0, "crash": "CUDA error: out of luck"}})
    launch(run, requests(run), LocalCluster(), work)
    state = settle(run, ended)["a"]

    assert state.state == "failed"
    assert state.reason.startswith("killed: it left no final state")
    assert state.reason.endswith("CUDA error: out of luck")


def test_worker_that_never_started_is_failed_with_submitits_log(tmp_path: Path) -> None:
    """The reason comes from submitit's own log where there is no attempt."""
    run = make_run(tmp_path, {"a": {}})
    (run / "jobs" / "a" / "job.json").write_text("{broken")
    jobs = [*requests(make_run(tmp_path / "other", {"a": {}}))]
    jobs[0] = type(jobs[0])("a", run / "jobs" / "a", 0)
    launch(run, jobs, LocalCluster(), work)
    state = settle(run, ended)["a"]

    assert state.state == "failed"
    assert state.attempt is None
    assert "JSONDecodeError" in state.reason


def test_cancel_stops_a_worker_that_listens(tmp_path: Path) -> None:
    """SIGTERM is enough; the job counts as cancelled."""
    run = make_run(tmp_path, {"a": {}, "b": {}})
    launch(run, requests(run), LocalCluster(), work)
    wait_for(lambda: _is_asking(run, "a") and _is_asking(run, "b"))
    stopped = cancel(run, ["a"])

    assert stopped == ["a"]
    assert job_states(run)["a"].state == "cancelled"
    assert _record(run, "a").state == "interrupted"
    assert job_states(run)["b"].state == "running"


def test_unmarked_cancel_leaves_the_job_interrupted(tmp_path: Path) -> None:
    """A command that is itself interrupted stops its jobs without calling them cancelled."""
    run = make_run(tmp_path, {"a": {}})
    launch(run, requests(run), LocalCluster(), work)
    wait_for(lambda: _is_asking(run, "a"))
    cancel(run, mark=False)

    assert job_states(run)["a"].state == "interrupted"
    assert job_states(run)["a"].reason == "told to stop"


def test_cancel_kills_a_stubborn_worker_and_all_its_session(tmp_path: Path) -> None:
    """After the grace SIGKILL goes to every process of the worker's session, masking child included."""
    run = make_run(tmp_path, {"a": {"stubborn": True, "secrets": ["hunter22"]}})
    launch(run, requests(run), LocalCluster(), work)
    wait_for((run / "jobs" / "a" / "1" / "stubborn").exists)
    members = session_members(_record(run, "a").pid)
    cancel(run, grace=0.3)
    wait_for(lambda: not any(map(is_running, members)))

    assert len(members) == 2
    assert job_states(run)["a"].state == "cancelled"


_STUBBORN_CHILD = "trap '' TERM; echo ready; while :; do sleep 0.1; done"


def test_children_of_a_worker_that_dies_at_once_are_stopped_too(tmp_path: Path) -> None:
    """A worker that leaves on SIGTERM before anybody looks doesn't leave its server behind."""
    command = ["sh", "-c", f'sh -c "{_STUBBORN_CHILD}" & wait']
    leaders = [
        subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True, cwd=tmp_path)
        for _ in range(8)
    ]
    for leader in leaders:
        assert leader.stdout is not None
        assert leader.stdout.readline() == b"ready\n"
    workers = [worker for leader in leaders if (worker := find_process(leader.pid))]
    stop(workers, 0.1)
    for leader in leaders:
        leader.wait()
        assert leader.stdout is not None
        leader.stdout.close()
    wait_for(lambda: not any(session_members(leader.pid) for leader in leaders))

    assert len(workers) == len(leaders)


@pytest.mark.parametrize("file", ["_submitted.pkl", "submission.json"])
def test_cancellation_while_jobs_are_handed_over_is_kept(tmp_path: Path, file: str) -> None:
    """A job cancelled before its worker's start, or between that and the record of it, stays cancelled."""
    run = make_run(tmp_path, {"a": {}})
    code = submit_and("cancel(Path(run))", run, "local", file)
    final = settle(run, ended)["a"]

    assert code == 0
    assert (final.state, final.record) == ("cancelled", None)


def test_cancel_leaves_a_stranger_with_the_same_pid_alone(tmp_path: Path) -> None:
    """A pid counts only together with its start time and boot."""
    run = make_run(tmp_path, {"a": {"seconds": 0}})
    launch(run, requests(run), LocalCluster(), work)
    settle(run, ended)
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as stranger:
        file = run / "jobs" / "a" / "1" / "state.json"
        text = file.read_text().replace('"complete"', '"running"')
        file.write_text(text.replace(f'"pid":{_record(run, "a").pid}', f'"pid":{stranger.pid}'))
        stopped = cancel(run)
        still_there = stranger.poll() is None
        stranger.kill()

    assert stopped == []
    assert still_there


def test_resubmitted_job_is_judged_by_its_new_attempt(tmp_path: Path) -> None:
    """Neither an old attempt nor an old cancellation speaks for a new submission."""
    run = make_run(tmp_path, {"a": {}})
    launch(run, requests(run), LocalCluster(), work)
    wait_for(lambda: _is_asking(run, "a"))
    cancel(run)
    launch(run, requests(run), LocalCluster(), work)
    first = job_states(run)["a"]
    (run / "jobs" / "go").touch()
    final = settle(run, ended)["a"]

    assert first.active
    assert (final.state, final.attempt and final.attempt.number) == ("complete", 2)


def test_job_without_a_submission_is_not_submitted(tmp_path: Path) -> None:
    """A launch that died before it came to a job leaves it to be submitted."""
    assert job_states(make_run(tmp_path, {"a": {}}))["a"].state == "not_submitted"


def test_lost_submission_file_leaves_the_workers_word(tmp_path: Path) -> None:
    """A submitter killed before it wrote doesn't hide the worker that it started."""
    run = make_run(tmp_path, {"a": {"seconds": 0}})
    launch(run, requests(run), LocalCluster(), work)
    settle(run, ended)
    (run / "jobs" / "a" / "submission.json").unlink()

    assert job_states(run)["a"].state == "complete"


def test_worker_on_another_host_is_not_called_dead(tmp_path: Path) -> None:
    """Where runs/ is shared, only the worker's own host can look for its process, or stop it."""
    run = make_run(tmp_path, {"a": {}})
    launch(run, requests(run), LocalCluster(), work)
    wait_for(lambda: _is_asking(run, "a"))
    file = run / "jobs" / "a" / "1" / "state.json"
    host = _record(run, "a").host
    elsewhere = file.read_text().replace(f'"host":"{host}"', '"host":"elsewhere"')
    file.write_text(elsewhere)
    state = job_states(run)["a"]

    assert (state.state, state.node) == ("running", "elsewhere")
    assert "elsewhere" in state.reason
    with pytest.raises(RunnerError, match="can be stopped only there: a on elsewhere"):
        cancel(run)
    assert not (run / "jobs" / "a" / CANCELLED).exists()


def test_inline_jobs_run_here_one_after_the_other(tmp_path: Path) -> None:
    """Inline calls the function in this process and returns what it returned."""
    run = make_run(tmp_path, {"a": {}, "b": {}})
    seen: list[str] = []

    def here(path: str) -> int:
        seen.append(path)
        return len(seen)

    statuses = launch(run, requests(run), InlineCluster(), here)
    submission = read_submission(run / "jobs" / "b")

    assert statuses == (1, 2)
    assert seen == [str(run / "jobs" / "a"), str(run / "jobs" / "b")]
    assert submission is not None
    assert submission.process is not None
    assert submission.process.pid == os.getpid()


def test_too_many_devices_are_refused_before_anything_starts(tmp_path: Path) -> None:
    """The arithmetic is in the message, and no process was started."""
    run = make_run(tmp_path, {"a": {}, "b": {"devices": 3}})
    with pytest.raises(UserError, match=r"takes 3 GPUs .* offers 2 \(0, 1\)"):
        launch(run, requests(run), LocalCluster(devices=(0, 1)), work)

    assert {state.state for state in job_states(run).values()} == {"not_submitted"}


def test_slurm_without_sbatch_names_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine without Slurm the message says what to use instead."""
    run = make_run(tmp_path, {"a": {}})
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"no sbatch on PATH.*cluster=local"):
        launch(run, requests(run), SlurmCluster(), work)


def test_slurm_flags_of_the_runner_are_refused_together(tmp_path: Path) -> None:
    """Every flag that has a key of its own, or that the runner needs, is named."""
    run = make_run(tmp_path, {"a": {}})
    cluster = SlurmCluster(sbatch={"output": "x", "cpus-per-task": 4, "constraint": "a100"})
    with pytest.raises(UserError) as caught:
        launch(run, requests(run), cluster, work)

    assert "cluster.sbatch.output: the runner sets this flag itself" in str(caught.value)
    assert "write cluster.cpus" in str(caught.value)
    assert "constraint" not in str(caught.value)
