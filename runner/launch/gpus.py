"""Shares this machine's GPUs out: one flock per device, held by the worker that uses it.

The kernel drops the locks of a process that dies in whatever way, so a kill frees its devices.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from runner.errors import UserError
from runner.files import expanded
from runner.launch.flocks import try_flock
from runner.launch.processes import boot_id
from runner.spec import Cluster, LocalCluster
from runner.values import count

LOCKS_VARIABLE = "RUNNER_GPU_LOCKS"
_POLL_SECONDS = 0.1


class Devices:
    """GPUs that this process holds until `release`, the end of its ``with`` block, or its own end.

    Attributes:
        ids: as CUDA_VISIBLE_DEVICES takes them.
    """

    def __init__(self, ids: Sequence[str] = (), locks: Sequence[int] = ()) -> None:
        self.ids = tuple(ids)
        self._locks = list(locks)

    @property
    def locks(self) -> tuple[int, ...]:
        """Descriptors of the locks; a child that inherits them holds the devices too."""
        return tuple(self._locks)

    @property
    def environment(self) -> dict[str, str]:
        """What gives a process, and the engines that it starts, these devices and no other.

        Numbers are those of nvidia-smi, which counts along the PCI bus; CUDA by itself puts the fastest
        first. They are not turned into UUIDs, which many versions of vLLM don't take.
        """
        return {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": ",".join(self.ids)}

    def release(self) -> None:
        """Let others have the devices; a second call does nothing."""
        while self._locks:
            fd = self._locks.pop()
            fcntl.flock(fd, fcntl.LOCK_UN)  # a forked child may hold a copy, for which closing is not enough
            os.close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def offered_devices(chosen: Sequence[int] | None = None) -> tuple[str, ...]:
    """Return the GPUs that jobs may use, each once: *chosen* ones, else all that are visible.

    Raises:
        UserError: a chosen one isn't there, or CUDA_VISIBLE_DEVICES leaves it out.
    """
    visible = _by_lock(visible_devices())
    if chosen is None:
        return tuple(visible.values())
    named = _by_lock([str(device) for device in chosen])
    outside = [device for lock, device in named.items() if lock not in visible]
    shell = "CUDA_VISIBLE_DEVICES" in os.environ
    if outside and (shell or visible):
        raise UserError(
            f"cluster.devices names GPU {', '.join(outside)}, but "
            f"{'CUDA_VISIBLE_DEVICES allows' if shell else 'nvidia-smi lists'} only "
            f"{', '.join(visible.values()) or 'none'}"
        )
    return tuple(named.values())


def devices_of(cluster: Cluster) -> tuple[str, ...]:
    """Return the GPUs of this machine that the jobs of *cluster* may use.

    Raises:
        UserError: it names one that isn't there, or that CUDA_VISIBLE_DEVICES leaves out.
    """
    return offered_devices(cluster.devices if isinstance(cluster, LocalCluster) else None)


def visible_devices() -> tuple[str, ...]:
    """Return the GPUs that this process may use: CUDA_VISIBLE_DEVICES where it is set, else all."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is None:
        return tuple(_installed())
    names = [name.strip() for name in chosen.split(",")]
    cut = next((i for i, name in enumerate(names) if name in {"", "-1", "NoDevFiles"}), len(names))
    return tuple(names[:cut])


def _installed() -> dict[str, str]:
    """Return index -> UUID of every GPU that nvidia-smi lists."""
    if shutil.which("nvidia-smi") is None:
        return {}
    try:
        listed = subprocess.run(
            ["nvidia-smi", "-L"], capture_output=True, text=True, check=False, timeout=60
        ).stdout
    except subprocess.TimeoutExpired:
        return {}
    return dict(re.findall(r"^GPU (\d+): .*\(UUID: (GPU-[^)]+)\)", listed, re.MULTILINE))


def device_memory(devices: Sequence[str]) -> int | None:
    """Return the memory (bytes) of the smallest of *devices*, or None where nvidia-smi doesn't tell."""
    if shutil.which("nvidia-smi") is None:
        return None
    query = ["nvidia-smi", "--query-gpu=index,uuid,memory.total", "--format=csv,noheader,nounits"]
    try:
        listed = subprocess.run(query, capture_output=True, text=True, check=False, timeout=60).stdout
    except subprocess.TimeoutExpired:
        return None
    told = re.findall(r"^(\d+), (GPU-\S+), (\d+)$", listed, re.MULTILINE)
    sizes = [
        int(mebibytes) << 20
        for index, uuid, mebibytes in told
        if any(device == index or (device and uuid.startswith(device)) for device in devices)
    ]
    return min(sizes, default=None)


def check_devices(wanted: int, devices: Sequence[int | str]) -> None:
    """Refuse to ask for more GPUs than there are.

    Raises:
        UserError: *wanted* is more than *devices*.
    """
    if wanted > len(devices):
        known = ", ".join(map(str, devices)) or "none"
        raise UserError(
            f"a job takes {count(wanted, 'GPU')} (tensor x pipeline x data parallel) but this machine offers "
            f"{len(devices)} ({known}): lower the topology, or see cluster.devices and CUDA_VISIBLE_DEVICES"
        )


def take_devices(
    count: int, devices: Sequence[int | str] | None = None, lock_dir: Path | None = None
) -> Devices:
    """Wait for *count* of *devices* and hold them.

    Whoever asks for the same devices waits in one queue, so that a job that takes many is not
    overtaken for ever by jobs that take one; nothing is held while waiting.

    Args:
        count: how many; none is answered at once.
        devices: indices, UUIDs or MIG names; left out means all visible ones.
        lock_dir: left out means RUNNER_GPU_LOCKS, else a folder of this host.

    Raises:
        UserError: there are not that many, or the locks can't be opened.
    """
    if count == 0:
        return Devices()
    locks = _by_lock([str(device) for device in (visible_devices() if devices is None else devices)])
    check_devices(count, list(locks.values()))
    folder = _lock_folder(lock_dir)
    queue = f"queue-{hashlib.sha256(' '.join(sorted(locks)).encode()).hexdigest()[:12]}.lock"
    with _opened(folder / queue) as turn:
        while not try_flock(turn):
            time.sleep(_POLL_SECONDS)
        while (taken := _take(count, locks, folder)) is None:
            time.sleep(_POLL_SECONDS)
    return taken


def _take(count: int, locks: dict[str, str], folder: Path) -> Devices | None:
    """Lock *count* devices, or none of them."""
    held: dict[str, int] = {}
    for name, device in locks.items():
        fd = _open(folder / name)
        if try_flock(fd):
            held[device] = fd
        else:
            os.close(fd)
        if len(held) == count:
            return Devices(tuple(held), tuple(held.values()))
    for fd in held.values():
        os.close(fd)
    return None


def _by_lock(devices: Sequence[str]) -> dict[str, str]:
    """Return lock -> device, in the given order; an index and its UUID share one: the first counts."""
    numbers = all(device.isdecimal() for device in devices)
    uuids = {} if numbers else _installed()
    locks: dict[str, str] = {}
    for device in devices:
        same = [index for index, uuid in uuids.items() if uuid.startswith(device)]
        name = same[0] if len(same) == 1 else re.sub(r"[^A-Za-z0-9-]", "_", device)
        locks.setdefault(f"gpu-{name}.lock", device)
    return locks


def _lock_folder(given: Path | None) -> Path:
    """Return the folder of the locks, made so that every user of the host can share it."""
    chosen = given or os.environ.get(LOCKS_VARIABLE) or f"/tmp/llm-runner-gpus-{boot_id()[:8]}"  # noqa: S108 - flock needs one place for all users
    folder = expanded(chosen)
    try:
        folder.mkdir(parents=True)
        folder.chmod(0o1777)
    except FileExistsError:
        pass
    except OSError as error:
        raise _unusable(folder, error) from error
    return folder


def _open(path: Path) -> int:
    """Open a lock file, made where it is missing; reading is enough for flock, so any user may."""
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        with suppress(FileNotFoundError):
            return os.open(path, flags)
        with suppress(FileExistsError):
            return os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o644)
        return os.open(path, flags)
    except OSError as error:
        raise _unusable(path, error) from error


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    fd = _open(path)
    try:
        yield fd
    finally:
        os.close(fd)


def _unusable(path: Path, error: OSError) -> UserError:
    return UserError(f"GPU locks at {path}: {error.strerror}; name a folder of your own in {LOCKS_VARIABLE}")
