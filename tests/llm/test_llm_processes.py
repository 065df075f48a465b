"""Loops, threads and processes: wherever an LLM is used, one engine answers, and none is left behind."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import psutil
import pytest

from runner import LLM
from runner.engines.mistralrs import KIND as MISTRALRS
from runner.errors import EngineError, EngineStartError
from runner.servers import ServerExitedError
from runner.shipped import shipped
from tests.http_server import Exchange, HttpServer
from tests.llm import stub_vllm
from tests.work.work_kit import CHAT, Echo, completion, served

pytestmark = pytest.mark.usefixtures("lab")

ROOT = Path(__file__).resolve().parents[2]
needs_mistralrs = pytest.mark.skipif(MISTRALRS.missing() is not None, reason="mistralrs is not installed")
methods = pytest.mark.parametrize("method", ["spawn", "fork"])
Method = Literal["spawn", "fork"]


def mapped(llm: LLM, rows: list[str]) -> list[str]:
    """Answer a shard of rows, as the function given to ``datasets.map`` does."""
    return [response.text for response in llm.batch(rows, progress=False)]


def pooled(llm: LLM, method: Method, shards: list[list[str]]) -> list[list[str]]:
    """Map over shards in four processes."""
    with ProcessPoolExecutor(4, mp_context=multiprocessing.get_context(method)) as pool:
        return [future.result() for future in [pool.submit(mapped, llm, shard) for shard in shards]]


def server_llm(folder: Path, **keys: Any) -> LLM:
    """Return a model whose server is started here."""
    engine = {"kind": "vllm", "python": stub_vllm.interpreter(folder), "device": "cpu"}
    return LLM(str(shipped() / "models" / "tiny"), engine=engine, **keys)


@contextmanager
def program(code: str) -> Iterator[subprocess.Popen[str]]:
    """Run a program of a user's, which has `tests` beside it."""
    command = [sys.executable, "-c", textwrap.dedent(code)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment) as process:
        try:
            yield process
        finally:
            process.kill()


def line(process: subprocess.Popen[str]) -> str:
    """Return the next line that a program prints."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


STARTING = """
import os, pathlib, signal, sys, time
from tests.llm.test_llm_processes import server_llm
llm = server_llm(pathlib.Path.cwd())
pid = llm.generate_sync("x").text
"""


def test_any_loop_and_thread_may_ask(echo: Echo, url: str) -> None:
    """One run of a loop after the other, and threads beside them, share one engine."""
    with LLM({"name": "m"}, engine=served(url)) as llm:

        async def ask(text: str) -> str:
            return (await llm.generate(text)).text

        assert [asyncio.run(ask(text)) for text in "abc"] == ["a", "b", "c"]
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda i: llm.generate_sync(f"t{i}").text, range(50)))

    assert found == [f"t{i}" for i in range(50)]
    assert echo.asked.total() == 53
    assert sum(thread.name == "runner-llm" for thread in threading.enumerate()) == 1


@methods
def test_processes_of_a_pool_ask_as_datasets_map_does(echo: Echo, url: str, method: Method) -> None:
    """An LLM that its parent has used already answers in four processes, and equal requests are found."""
    with LLM({"name": "m"}, engine=served(url)) as llm:
        llm.generate_sync("before")
        shards = [[f"{shard}-{i}" for i in range(25)] + ["before"] for shard in range(4)]

        assert pooled(llm, method, shards) == shards
        assert llm.generate_sync("after").text == "after"

    assert echo.asked.total() == 102
    assert set(echo.asked.values()) == {1}


@needs_mistralrs
@methods
def test_processes_of_a_pool_load_a_model_each(method: Method) -> None:
    """Weights that the parent never loaded are loaded in each of four processes."""
    with program(f"""
        from runner import LLM
        from tests.llm.test_llm_processes import pooled
        if __name__ == "__main__":
            llm = LLM("tiny", sampling={{"temperature": 0, "max_tokens": 8}})
            print(pooled(llm, {method!r}, [[f"{{a}}+{{b}}" for b in range(10, 13)] for a in range(20, 24)]))
    """) as process:
        found = line(process)

    assert found == str([[str(a + b) for b in range(10, 13)] for a in range(20, 24)])


@needs_mistralrs
def test_forked_child_of_a_loaded_model_is_told_what_to_do() -> None:
    """Half a library is not asked: the error names the way that works."""
    with program("""
        import os
        from runner import LLM
        from runner.errors import EngineStartError
        llm = LLM("tiny", sampling={"temperature": 0, "max_tokens": 8})
        print(llm.generate_sync("20+22").text, flush=True)
        if not os.fork():
            print(llm.generate_sync("20+22").text, flush=True)
            try:
                llm.generate_sync("21+22")
            except EngineStartError as error:
                print(error, flush=True)
            os._exit(0)
        os.wait()
        print(llm.generate_sync("22+22").text, flush=True)
    """) as process:
        said = [line(process) for _ in range(4)]

    assert said[:2] == ["42", "42"]
    assert said[2].startswith("mistralrs had loaded a model into the process that this one was forked from")
    assert 'start workers with the method "spawn"' in said[2]
    assert said[3] == "44"


def test_pickle_carries_only_the_arguments(url: str) -> None:
    """A copy is small, the same each time, and works; the original still does."""
    with LLM({"name": "m"}, engine=served(url), sampling={"top_p": 0.5}) as llm:
        before = pickle.dumps(llm)
        llm.generate_sync("x")
        after = pickle.dumps(llm)
        copy: LLM = pickle.loads(after)

        assert before == after
        assert len(after) < 1000
        assert repr(copy) == repr(llm)
        with copy:
            assert copy.generate_sync("y").text == "y"
        assert llm.generate_sync("z").text == "z"


def test_copy_looks_in_the_original_project(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A process in another folder finds the same options, weights and cache."""
    (Path("conf") / "model").mkdir(parents=True)
    (Path("conf") / "model" / "mine.yaml").write_text("name: m\nengine: {kind: fake, template: ours}\n")
    data = pickle.dumps(LLM("mine"))
    monkeypatch.chdir(tmp_path)

    with pickle.loads(data) as llm:
        assert llm.generate_sync("x").text == "ours"
    assert (tmp_path / "lab" / "runs" / ".cache.sqlite").is_file()


def test_closed_server_is_gone_and_starts_again(tmp_path: Path) -> None:
    """Close returns when the server is gone, with its log; a call after it starts another."""
    llm = server_llm(tmp_path, cache=False)
    first = int(llm.generate_sync("x").text)
    assert psutil.pid_exists(first)
    llm.close()
    assert not psutil.pid_exists(first)
    assert list(Path("runs/.llm").iterdir()) == []

    second = int(llm.generate_sync("x").text)
    llm.close()

    assert second != first
    assert not psutil.pid_exists(second)


def test_log_of_a_server_that_died_stays(tmp_path: Path) -> None:
    """The error names it, and may be read after the block has ended."""
    with server_llm(tmp_path, cache=False) as llm:
        psutil.Process(int(llm.generate_sync("x").text)).kill()
        with pytest.raises(EngineError, match=r"killed by SIGKILL \(as .*; .*server-0\.log") as caught:
            llm.generate_sync("x")

    (folder,) = Path("runs/.llm").iterdir()
    assert (folder / "server-0.log").is_file()
    assert str(folder) in str(caught.value)


def test_failed_start_is_tried_once_for_all_who_wait(tmp_path: Path) -> None:
    """A batch waits for one start, whose log stays; the next call tries again."""
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho no such option >&2\nexit 3\n")
    broken.chmod(0o755)
    engine = {"kind": "vllm", "python": str(broken), "device": "cpu"}
    with LLM(str(shipped() / "models" / "tiny"), engine=engine) as llm:
        errors = llm.batch([str(i) for i in range(300)], errors="return", progress=False)
        assert len(list(Path("runs/.llm").iterdir())) == 1
        with pytest.raises(EngineStartError, match="no such option"):
            llm.generate_sync("x")

    assert {type(error) for error in errors} == {ServerExitedError}
    assert len(list(Path("runs/.llm").iterdir())) == 2


def test_forgotten_llm_ends_its_server(tmp_path: Path) -> None:
    """Nobody holds it any more, so nothing of it stays."""
    llm = server_llm(tmp_path)
    server = psutil.Process(int(llm.generate_sync("x").text))

    del llm
    gc.collect()

    assert psutil.wait_procs([server], timeout=20)[1] == []


@pytest.mark.parametrize("end", ["pass", "raise SystemExit(3)", "1 / 0"], ids=["end", "exit", "error"])
def test_server_is_gone_when_its_program_ends(end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However the interpreter comes to its exit, it waits until its server is gone."""
    monkeypatch.setenv("STUB_ENDS_IN", "0.5")
    code = f"{STARTING}\nprint(pid, flush=True)\nsys.stdin.readline()\nsys.stdin.close()\n{end}"
    with program(code) as process:
        server = psutil.Process(int(line(process)))
        assert process.stdin is not None
        process.stdin.write("\n")  # it ends once its server has been seen
        process.stdin.flush()
        process.wait(30)
        gone = not server.is_running()

    assert gone


def test_server_is_gone_when_its_program_is_killed() -> None:
    """Kill -9 leaves nothing, though a child forked from the program lives on."""
    code = f"""{STARTING}
child = os.fork()
if not child:
    time.sleep(600)
print(pid, child, flush=True)
time.sleep(600)
"""
    with program(code) as process:
        server, child = (psutil.Process(int(pid)) for pid in line(process).split())
        process.send_signal(signal.SIGKILL)
        gone = psutil.wait_procs([server], timeout=20)[1] == []
        child.kill()

    assert gone


def test_forked_child_starts_a_server_of_its_own() -> None:
    """And its end leaves the parent's alone."""
    with program(f"""{STARTING}
child = os.fork()
if not child:
    print(llm.generate_sync("y").text, flush=True)
    llm.close()
    os._exit(0)
os.wait()
print(pid, llm.generate_sync("z").text, flush=True)
""") as process:
        other = int(line(process))
        before, after = map(int, line(process).split())
        assert not psutil.pid_exists(other)

    assert before == after != other


def test_interrupt_ends_a_batch_and_keeps_its_answers() -> None:
    """Ctrl-C raises, what was answered is stored, and the LLM can be asked again."""
    arrived = threading.Semaphore(0)

    async def answer(exchange: Exchange) -> None:
        text = exchange.request.json()["messages"][-1]["content"]
        arrived.release()
        if not text.startswith("slow"):
            await exchange.answer(completion(text))

    with HttpServer({CHAT: answer}) as server:
        code = f"""
            from runner import LLM
            from tests.work.work_kit import served
            llm = LLM({{"name": "m"}}, engine=served({server.url("/v1")!r}))
            print("ready", flush=True)
            try:
                llm.batch(["a", "b", *(f"slow {{i}}" for i in range(1000))], progress=False)
            except KeyboardInterrupt:
                print([r.text for r in llm.batch(["a", "b", "c"], progress=False)], flush=True)
        """
        with program(code) as process:
            assert line(process) == "ready"
            for _ in range(8):  # as many as are in flight at once, two of them answered
                assert arrived.acquire(timeout=30)
            process.send_signal(signal.SIGINT)

            assert line(process) == "['a', 'b', 'c']"
            assert process.wait(30) == 0


def test_close_ends_what_is_in_flight() -> None:
    """Whoever waits for an answer is told."""

    async def read(llm: LLM) -> str:
        return "".join([text async for text in llm.stream("y")])

    async def ask() -> None:
        llm = LLM("fake:m", engine={"kind": "fake", "latency": 600})
        begun = [asyncio.ensure_future(llm.generate("x")), asyncio.ensure_future(read(llm))]
        await asyncio.sleep(0)  # which lets them send their requests
        await llm.close_async()
        for waiting in begun:
            with pytest.raises(EngineError, match="closed before it answered"):
                await waiting

    asyncio.run(ask())
