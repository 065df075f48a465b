from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from runner.errors import UserError
from runner.launch import job_states, launch
from runner.launch.gpus import offered_devices, take_devices, visible_devices
from runner.spec import LocalCluster
from tests.launch.launch_kit import make_run, requests, settle, wait_for
from tests.launch.launch_worker import work


def _devices(run: Path) -> list[str]:
    return [path.read_text() for path in sorted(run.glob("jobs/*/1/devices.txt"))]


def _working(run: Path) -> int:
    return sum(state.reason == "asking" for state in job_states(run).values())


def test_two_runs_at_once_never_share_a_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two commands with two jobs of one GPU each share two GPUs: two work, two wait and say so."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    runs = [make_run(tmp_path / name, {"a": {"devices": 1}, "b": {"devices": 1}}) for name in ("x", "y")]
    for run in runs:
        launch(run, requests(run), LocalCluster(), work)
    wait_for(lambda: sum(map(_working, runs)) == 2)
    wait_for(
        lambda: sum(s.reason == "waiting for a GPU" for run in runs for s in job_states(run).values()) == 2
    )
    waiting = [s.state for run in runs for s in job_states(run).values() if s.reason.startswith("waiting")]
    first = sorted(device for run in runs for device in _devices(run))
    for run in runs:
        (run / "jobs" / "go").touch()
    final = [settle(run, lambda s: all(job.state == "complete" for job in s.values())) for run in runs]

    assert first == ["0", "1"]
    assert waiting == ["pending", "pending"]
    assert len(final) == 2


def test_kill_9_frees_the_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker killed with -9 leaves its GPU to the next in line."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    run = make_run(tmp_path, {"a": {"devices": 1}, "b": {"devices": 1}})
    launch(run, requests(run), LocalCluster(), work)
    wait_for(lambda: _working(run) == 1)
    states = job_states(run)
    holder = next(name for name in states if states[name].state == "running")
    record = states[holder].record
    assert record is not None
    os.kill(record.pid, signal.SIGKILL)
    settle(run, lambda s: s[holder].state == "failed" and s["ab".replace(holder, "")].state == "running")

    assert _devices(run) == ["0", "0"]


def test_children_do_not_inherit_the_locks(tmp_path: Path) -> None:
    """A server that outlives its worker doesn't keep the GPU from others."""
    with take_devices(1, [0], tmp_path):
        child = subprocess.Popen(["sleep", "60"], close_fds=False)
    with take_devices(1, [0], tmp_path) as again:
        taken = again.ids
    child.kill()
    child.wait()

    assert taken == ("0",)


def test_job_of_many_devices_is_not_overtaken(tmp_path: Path) -> None:
    """While a job of two GPUs waits for its second one, later jobs of one queue up behind it."""
    holder = take_devices(1, [0, 1], tmp_path)
    with ThreadPoolExecutor(2) as pool:
        big = pool.submit(take_devices, 2, [0, 1], tmp_path)
        wait_for(lambda: any(map(_is_locked, tmp_path.glob("queue-*"))))
        small = pool.submit(take_devices, 1, [0, 1], tmp_path)
        holder.release()
        both = big.result(timeout=10)
        overtook = small.done()
        both.release()
        last = small.result(timeout=10)

    assert both.ids == ("0", "1")
    assert not overtook
    assert last.ids == ("0",)


def _is_locked(path: Path) -> bool:
    return subprocess.run(["flock", "--nonblock", path, "true"], check=False).returncode != 0


def test_jobs_of_other_devices_do_not_wait_for_each_other(tmp_path: Path) -> None:
    """A queue is of one set of devices, so that waiting for GPU 0 holds up nobody who wants GPU 1."""
    with ThreadPoolExecutor(1) as pool, take_devices(1, [0], tmp_path) as holder:
        waiting = pool.submit(take_devices, 1, [0], tmp_path)
        wait_for(lambda: any(map(_is_locked, tmp_path.glob("queue-*"))))
        other = take_devices(1, [1], tmp_path)
        was_waiting = not waiting.done()
        holder.release()
        waiting.result(timeout=10).release()
        other.release()

    assert was_waiting
    assert other.ids == ("1",)


def test_no_devices_are_answered_at_once(tmp_path: Path) -> None:
    """A job without GPUs needs no lock folder."""
    assert take_devices(0, [], tmp_path / "none").ids == ()
    assert not (tmp_path / "none").exists()


def test_more_devices_than_there_are_is_refused(tmp_path: Path) -> None:
    """Waiting for ever is no answer."""
    with pytest.raises(UserError, match=r"takes 2 GPUs .* offers 1 \(GPU-8f\)"):
        take_devices(2, ["GPU-8f"], tmp_path)


def test_unusable_lock_folder_names_the_variable(tmp_path: Path) -> None:
    """The message says how to choose another folder."""
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="RUNNER_GPU_LOCKS"):
        take_devices(1, [0], tmp_path / "file" / "locks")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0,1", ("0", "1")),
        ("GPU-8f, MIG-2", ("GPU-8f", "MIG-2")),
        ("", ()),
        ("1,-1,2", ("1",)),
        ("NoDevFiles", ()),
    ],
)
def test_cuda_visible_devices_is_read_as_cuda_does(
    value: str, expected: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names are kept as they are; the first invalid one ends the list."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)

    assert visible_devices() == expected


_SMI = f"""#!{sys.executable}
print("GPU 0: NVIDIA H200 (UUID: GPU-aa11)")
print("  MIG 1g.18gb Device 0: (UUID: MIG-77)")
print("GPU 1: NVIDIA H200 (UUID: GPU-bb22)")
"""


@pytest.fixture
def two_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put an nvidia-smi on PATH that lists two GPUs."""
    program = tmp_path / "bin" / "nvidia-smi"
    program.parent.mkdir()
    program.write_text(_SMI)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")


@pytest.mark.usefixtures("two_gpus")
def test_installed_devices_are_those_that_nvidia_smi_lists() -> None:
    """Without CUDA_VISIBLE_DEVICES every GPU may be used; MIG slices have to be named."""
    assert visible_devices() == ("0", "1")


@pytest.mark.usefixtures("two_gpus")
def test_index_and_uuid_of_one_device_share_its_lock(tmp_path: Path) -> None:
    """A command that names GPU 1 by its UUID keeps others from taking it by its index."""
    with (
        take_devices(1, ["GPU-bb22"], tmp_path / "locks"),
        take_devices(1, [1, 0], tmp_path / "locks") as other,
    ):
        assert other.ids == ("0",)


def test_devices_are_numbered_as_nvidia_smi_does(tmp_path: Path) -> None:
    """CUDA by itself puts the fastest first, so that its GPU 1 may be another one."""
    with take_devices(2, [3, 1], tmp_path) as devices:
        assert devices.environment == {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": "3,1"}


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize("visible", ["0,GPU-aa11", "0,0", "GPU-aa", "GPU-aa11,GPU-aa"])
def test_device_that_is_named_twice_is_one(visible: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job of two GPUs is refused, where it would wait for ever for the second."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)

    assert len(offered_devices()) == 1
    with pytest.raises(UserError, match=r"takes 2 GPUs .* offers 1"):
        take_devices(2)


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize("visible", ["1", "GPU-bb22", "MIG-77,GPU-bb"])
def test_devices_outside_of_cuda_visible_devices_are_refused(
    visible: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the submitting shell was given bounds cluster.devices, numbered or not."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)

    assert offered_devices([1]) == ("1",)
    with pytest.raises(UserError, match=r"cluster\.devices names GPU 0, but CUDA_VISIBLE_DEVICES allows"):
        offered_devices([0, 1])


@pytest.mark.usefixtures("two_gpus")
def test_devices_that_are_not_installed_are_refused() -> None:
    """A job on such a device would find none."""
    with pytest.raises(UserError, match=r"cluster\.devices names GPU 7, but nvidia-smi lists only 0, 1"):
        offered_devices([0, 7])
