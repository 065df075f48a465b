from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.launch.attempts import (
    State,
    attempts,
    begin_attempt,
    read_state,
    slurm_job_id,
    write_state,
)
from runner.launch.processes import is_running
from runner.masking.forms import MaskedStream, Masker
from tests.launch.launch_kit import ROOT, wait_for

_PROGRAM = """
import os, signal, subprocess, sys
from pathlib import Path
from runner.launch.attempts import begin_attempt
from runner.launch.output import redirect_output
with redirect_output(begin_attempt(Path(sys.argv[1])), sys.argv[2:]):
    print("python says hunter22")
    os.write(2, b"descriptor says hun")
    os.write(2, b"ter22\\n")
    subprocess.run(["echo", "child says hunter22"], check=True)
    if os.environ.get("CRASH"):
        sys.stdout.flush()
        os.kill(os.getpid(), signal.SIGKILL)
print("back again")
"""


def _run(folder: Path, *secrets: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(folder), *secrets],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, **env},
    )


def test_output_of_worker_and_children_goes_to_the_attempt(tmp_path: Path) -> None:
    """Descriptors are redirected, not only Python's streams, and given back at the end."""
    done = _run(tmp_path)

    assert (done.stdout, done.stderr) == ("back again\n", "")
    assert (tmp_path / "1" / "stdout.log").read_text() == "python says hunter22\nchild says hunter22\n"
    assert (tmp_path / "1" / "stderr.log").read_text() == "descriptor says hunter22\n"


def test_secrets_are_masked_even_when_written_in_pieces(tmp_path: Path) -> None:
    """No value of a secret reaches the files, whoever prints it."""
    done = _run(tmp_path, "hunter22", "unused-secret")

    assert done.stdout == "back again\n"
    assert (tmp_path / "1" / "stdout.log").read_text() == "python says ***\nchild says ***\n"
    assert (tmp_path / "1" / "stderr.log").read_text() == "descriptor says ***\n"


def test_masked_output_takes_the_place_of_a_file(tmp_path: Path) -> None:
    """Slurm gives a worker files, which Python asks for their position; a pipe has none."""
    out, err = tmp_path / "slurm.out", tmp_path / "slurm.err"
    with out.open("w") as stdout, err.open("w") as stderr:
        code = subprocess.run(
            [sys.executable, "-c", f"print('begun')\n{_PROGRAM}", str(tmp_path), "hunter22"],
            stdout=stdout,
            stderr=stderr,
            check=False,
            cwd=ROOT,
            env={**os.environ, "PYTHONIOENCODING": "utf-8:strict"},
        ).returncode

    assert (code, out.read_text(), err.read_text()) == (0, "begun\nback again\n", "")
    assert (tmp_path / "1" / "stdout.log").read_text() == "python says ***\nchild says ***\n"


def test_masked_output_survives_a_crash(tmp_path: Path) -> None:
    """What a worker printed before it was killed is in its log, masked."""
    done = _run(tmp_path, "hunter22", CRASH="1")
    log = tmp_path / "1" / "stdout.log"
    wait_for(lambda: log.read_text() == "python says ***\nchild says ***\n")

    assert done.returncode == -signal.SIGKILL


@given(
    secrets=st.lists(st.text("abc", min_size=1, max_size=4), min_size=1, max_size=3),
    text=st.text("abcd", max_size=40),
    data=st.data(),
)
def test_masking_in_pieces_equals_masking_at_once(secrets: list[str], text: str, data: st.DataObject) -> None:
    """Where the stream is cut makes no difference, and nothing is held back at the end."""
    pieces, rest = [], text.encode()
    while rest:
        cut = data.draw(st.integers(1, len(rest)))
        pieces.append(rest[:cut])
        rest = rest[cut:]
    masker = Masker(secrets)
    stream = MaskedStream(masker)
    streamed = b"".join(stream.feed(piece) for piece in pieces) + stream.feed(b"", last=True)

    assert streamed == masker.mask(text.encode())


def test_attempts_are_numbered_in_order_beyond_nine(tmp_path: Path) -> None:
    """The tenth attempt comes after the ninth, and other entries are no attempts."""
    (tmp_path / "job.json").touch()
    numbers = [begin_attempt(tmp_path).number for _ in range(11)]

    assert numbers == list(range(1, 12))
    assert [attempt.number for attempt in attempts(tmp_path)] == numbers


def test_state_is_read_as_it_was_written(tmp_path: Path) -> None:
    """A reader gets the whole state or none, with an error of one line."""
    attempt = begin_attempt(tmp_path)
    before = read_state(attempt)
    state = State.begin().at({"done": 3}).end("failed", 1, "two\nlines")
    write_state(attempt, state)

    assert before is None
    assert read_state(attempt) == state
    assert state.error == "two; lines"
    assert [path.name for path in attempt.path.iterdir()] == ["state.json"]


def test_zombie_is_not_alive() -> None:
    """A worker that ended but was not waited for counts as dead."""
    program = (
        "import msgspec; from runner.launch.attempts import State;"
        "print(msgspec.json.encode(State.begin()).decode(), flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    ) as child:
        assert child.stdout is not None
        state = msgspec.json.decode(child.stdout.readline(), type=State)
        alive = is_running(state.process)
        os.kill(child.pid, signal.SIGKILL)
        wait_for(lambda: is_running(state.process) is False)

    assert alive is True


def test_slurm_id_is_that_of_the_array_task(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slurm's commands take ARRAY_TASK; a local job inside an allocation has none."""
    monkeypatch.setenv("SUBMITIT_EXECUTOR", "slurm")
    monkeypatch.setenv("SLURM_JOB_ID", "130")
    single = slurm_job_id()
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "123")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "4")
    task = slurm_job_id()
    monkeypatch.setenv("SUBMITIT_EXECUTOR", "local")

    assert (single, task, slurm_job_id()) == ("130", "123_4", None)
