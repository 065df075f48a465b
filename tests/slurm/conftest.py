"""A real Slurm, private to the test session: three nodes, ten fake GPUs."""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.launch.launch_kit import ROOT

_LAB = ROOT / "tests" / "slurmlab.sh"
_OFFSETS = (6, 17, 19, 21, 22, 23)
MAX_ARRAY = 11


def _free_base() -> int:
    """Return the first of a range of ports that nobody listens on."""
    while True:
        base = random.randrange(20000, 32000)
        with ExitStack() as stack:
            try:
                for offset in _OFFSETS:
                    taken = stack.enter_context(socket.socket())
                    taken.bind(("127.0.0.1", base + offset))
            except OSError:
                continue
            return base


def _install(program: str, *words: str) -> None:
    if shutil.which(program) or Path("/usr/sbin", program).exists():
        return
    if os.getuid() != 0 or shutil.which("apt-get") is None:
        pytest.fail(f"these tests start a Slurm of their own: install {program}, or run as root on Debian")
    subprocess.run([_LAB, "install", *words], check=True)


@contextmanager
def _lab(*words: str) -> Iterator[Path]:
    """Start a cluster and yield its slurm.conf; every process of it is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="slurmlab-"))  # its daemons need a folder that all may enter
    env = {**os.environ, "SLURMLAB_PORT": str(_free_base()), "SLURMLAB_MAX_ARRAY": str(MAX_ARRAY)}
    try:
        subprocess.run([_LAB, "start", folder, *words], check=True, env=env, stdout=subprocess.DEVNULL)
        yield folder / "slurm.conf"
    finally:
        subprocess.run([_LAB, "wipe", folder], check=True)


@pytest.fixture(scope="session")
def cluster_without_accounting() -> Iterator[Path]:
    """Yield the slurm.conf of a cluster on which sacct answers nothing."""
    _install("slurmctld", "nodb")
    with _lab("nodb") as conf:
        yield conf


@pytest.fixture(scope="session")
def cluster_with_accounting() -> Iterator[Path]:
    """Yield the slurm.conf of a cluster with slurmdbd and MariaDB."""
    _install("slurmdbd")
    _install("mariadbd")
    with _lab() as conf:
        yield conf


@contextmanager
def _using(conf: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SLURM_CONF", str(conf))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    yield
    subprocess.run(["scancel", "--quiet", "--user", "root"], check=True)


@pytest.fixture
def slurm(cluster_without_accounting: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Point the test, and the jobs that it submits, at the cluster without accounting."""
    with _using(cluster_without_accounting, monkeypatch):
        yield


@pytest.fixture
def accounted_slurm(cluster_with_accounting: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Point the test, and the jobs that it submits, at the cluster with accounting."""
    with _using(cluster_with_accounting, monkeypatch):
        yield
