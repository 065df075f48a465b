"""Secrets in the logs that submitit and Slurm write by themselves."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from runner.errors import UserError
from runner.launch import job_states
from runner.launch.kept import mask_files
from runner.launch.submission import Submission, submitit_stderr, write_submission
from runner.outcome import run_outcome
from runner.runs import RunFolder
from tests.launch.launch_kit import ROOT, make_run

SECRET = "hunter22-hunter22"


def test_secrets_are_overwritten_where_they_stand(tmp_path: Path) -> None:
    """A file keeps its length, so that whoever has it open goes on appending at its end."""
    log = tmp_path / "7_0_log.out"
    with log.open("ab", buffering=0) as other:
        other.write(f"a {SECRET}{SECRET} b {SECRET[:8]} c\n".encode())
        mask_files([log, tmp_path / "missing"], [SECRET, SECRET[:8]])
        other.write(b"more\n")

    assert log.read_text() == f"a {'*' * 34} b {'*' * 8} c\nmore\n"


@pytest.mark.parametrize("name", ["SERVICE_KEY", "NAMED"])
def test_last_error_is_told_without_the_secret(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a failed start printed is masked: variables that the job names, and all whose name says secret."""
    monkeypatch.setenv(name, SECRET)
    run = make_run(tmp_path, {"a": {}})
    submission = Submission(kind="local", id="a-1", submitted=0, first_attempt=1)
    write_submission(run / "jobs" / "a", submission)
    log = submitit_stderr(run, submission)
    log.parent.mkdir()
    log.write_text(f"export {name}={SECRET}\n")

    assert job_states(run, ["NAMED"])["a"].reason.endswith(f"last error: export {name}=***")


_PROGRAM = f"""
import sys
from pathlib import Path
from runner.launch.attempts import begin_attempt
from runner.launch.output import redirect_output
with redirect_output(begin_attempt(Path(sys.argv[1])), ["{SECRET}"]):
    raise ValueError("no service takes {SECRET}")
"""


def test_traceback_is_printed_where_secrets_are_masked(tmp_path: Path) -> None:
    """A bug's message may hold a key: nothing of it reaches the log above the attempt's."""
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, tmp_path],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    log = (tmp_path / "1" / "stderr.log").read_text()

    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")
    assert log.startswith("Traceback (most recent call last):")
    assert log.endswith("ValueError: no service takes ***\n")


def test_log_of_a_worker_that_never_began_is_masked_by_who_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A setup line that printed a key and failed has left nobody else to do it."""
    monkeypatch.setenv("SERVICE_KEY", SECRET)
    run = make_run(tmp_path, {})
    log = run / "submitit" / "7_0_0_log.err"
    log.parent.mkdir(parents=True)
    log.write_text(f"+ export SERVICE_KEY={SECRET}\nfailed\n")
    with pytest.raises(UserError, match="no job"):  # there was none to begin with
        run_outcome(RunFolder(run))

    assert log.read_text() == f"+ export SERVICE_KEY={'*' * len(SECRET)}\nfailed\n"
