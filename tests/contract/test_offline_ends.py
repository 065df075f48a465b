"""Engines in a worker: the times of their pieces, and their end, with the worker or before."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from runner.engines.registry import engine_kinds
from tests.contract.environments import ROOT
from tests.contract.subjects import Subject, chat

pytestmark = [pytest.mark.contract, pytest.mark.slow]

KINDS = ("vllm_offline", "sglang_offline")


@contextmanager
def worker(kind: str, *words: str) -> Iterator[subprocess.Popen[str]]:
    """Start a worker with an engine in it; it is gone when this is left."""
    described = engine_kinds()[kind]
    if described.missing() is not None:
        pytest.skip(f"run where {described.distribution} is, by test_offline.py")
    command = [sys.executable, "-m", "tests.contract.offline_worker", kind, *words]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def told(process: subprocess.Popen[str], what: str) -> list[str]:
    """Return the words of the next thing of that name that the worker tells."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(f"TOLD {what}"):
            return line.split()[2:]
    raise AssertionError(f"the worker never told {what}")


@pytest.mark.parametrize("kind", KINDS)
def test_engine_ends_with_a_worker_that_is_killed(kind: str) -> None:
    """In the middle of a request, by SIGKILL: no process of the engine is left."""
    with worker(kind) as process:
        engine = [psutil.Process(int(pid)) for pid in told(process, "processes")]
        process.kill()
        process.wait()

        assert engine
        _, alive = psutil.wait_procs(engine, timeout=30)
        assert not [one for one in alive if one.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize("kind", KINDS)
def test_engine_that_dies_stops_the_job_and_not_the_worker(kind: str) -> None:
    """Requests in flight fail at once with an error that is not asked again, and the worker goes on."""
    with worker(kind, "die") as process:
        engine = [psutil.Process(int(pid)) for pid in told(process, "processes")]

        assert " ".join(told(process, "gone")).startswith(f"{kind} is gone:")
        told(process, "ended")
        assert process.wait(timeout=60) == 0
        assert not [one for one in engine if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize("kind", KINDS)
def test_pieces_are_timed(kind: str) -> None:
    """The first token comes before the last, the others after it."""
    with worker(kind, "time") as process:
        *times, text = told(process, "times")
        assert process.wait(timeout=60) == 0

    first, between, whole = map(float, times)
    assert text == "gfedcba"
    assert 0 < first < first + 5 * between <= whole


@pytest.mark.parametrize("subject", KINDS, indirect=True)
def test_cancelled_request_disturbs_no_other(subject: Subject) -> None:
    """The engine goes on answering, though it is told that nobody waits for one of its requests."""
    long = chat("roll", temperature=1.0, max_tokens=1900, ignore_eos=True)
    asked = asyncio.run_coroutine_threadsafe(subject.engine.generate(long), subject.loop)
    subject.streamed(chat("37+48", temperature=0.0))

    asked.cancel()

    assert subject.one("37+48", temperature=0.0).text == "85"
    assert asked.cancelled()


@pytest.mark.parametrize("kind", KINDS)
def test_arguments_that_the_engine_refuses_are_told(kind: str) -> None:
    """By its own parser, in its own words."""
    from runner.errors import EngineStartError
    from runner.spec import Model
    from tests.contract.subjects import SETTINGS, TINY

    described = engine_kinds()[kind]
    if described.missing() is not None:
        pytest.skip("run where the engine is, by test_offline.py")
    settings = described.settings(**{**SETTINGS[kind], "args": {"no-such-flag": 1}})

    async def start() -> None:
        async with described.create(settings, Model(name=str(TINY))):
            pass

    with pytest.raises(EngineStartError, match=r"refuses its arguments: .*no-such-flag"):
        asyncio.run(start())
