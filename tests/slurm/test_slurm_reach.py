"""Whether Slurm is there: told quickly where it isn't, waited for where it is slow."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from runner.errors import UserError
from runner.launch.slurm import check_answers

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("slurm")]

MESSAGE_TIMEOUT = 10.0
"""Slurm's own limit: one of its commands that waited longer for an answer fails."""


def _changed(monkeypatch: pytest.MonkeyPatch, folder: Path, *changes: tuple[str, str]) -> None:
    """Point the test at the cluster's configuration with other values."""
    conf = Path(os.environ["SLURM_CONF"])
    text = conf.read_text()
    for key, value in changes:
        text = re.sub(rf"^{key}=.*\n", "", text, flags=re.MULTILINE) + f"{key}={value}\n"
    (folder / "slurm.conf").write_text(text)
    (folder / "gres.conf").write_bytes(conf.with_name("gres.conf").read_bytes())
    monkeypatch.setenv("SLURM_CONF", str(folder / "slurm.conf"))


@contextmanager
def _stopped(pid: int, seconds: float) -> Iterator[None]:
    """Stop a process, and let it go on after so many seconds, or when this is left."""
    waking = threading.Timer(seconds, os.kill, (pid, signal.SIGCONT))
    os.kill(pid, signal.SIGSTOP)
    waking.start()
    try:
        yield
    finally:
        waking.cancel()
        os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("SlurmctldPort", "1"), r"Slurmctld\(primary\) at .* is DOWN"),
        (("SlurmctldHost", "nowhere.invalid"), "the controller's name can't be resolved"),
    ],
)
def test_controller_that_cannot_be_reached_is_refused_within_ten_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: tuple[str, str], told: str
) -> None:
    """Even where Slurm's own commands try for a minute, as large clusters have it."""
    begun = time.monotonic()
    with monkeypatch.context() as broken:
        _changed(broken, tmp_path, change, ("MessageTimeout", "60"))
        with pytest.raises(UserError, match=told):
            check_answers()

    assert time.monotonic() - begun < 10


def test_controller_that_is_slow_is_waited_for(cluster_without_accounting: Path) -> None:
    """One that says nothing for longer than Slurm's own commands wait is still submitted to."""
    pid = int(cluster_without_accounting.with_name("slurmctld.pid").read_text())
    begun = time.monotonic()
    with _stopped(pid, MESSAGE_TIMEOUT + 1):
        check_answers()

    assert time.monotonic() - begun > MESSAGE_TIMEOUT
