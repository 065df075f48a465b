"""Servers that give their GPUs' memory back for a while."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from runner import LLM
from runner.errors import ConfigError, EngineError
from runner.shipped import shipped
from tests.llm import stub_vllm

pytestmark = pytest.mark.usefixtures("lab")


def server_llm(folder: Path, **engine: Any) -> LLM:
    """Return a model whose server, which takes vLLM's calls, is started here."""
    declared = {"kind": "vllm", "python": stub_vllm.interpreter(folder), "device": "cpu", **engine}
    return LLM(str(shipped() / "models" / "tiny"), engine=declared, cache=False)


def test_server_sleeps_and_the_next_request_wakes_it(tmp_path: Path) -> None:
    """The server stays the same; waking it twice asks it once."""
    with server_llm(tmp_path, env={"VLLM_SERVER_DEV_MODE": "1"}) as llm:
        pid = llm.generate_sync("x").text
        llm.sleep()
        assert llm.generate_sync("x").text == f"{pid} /sleep?level=1 /wake_up"
        llm.sleep(level=2)
        llm.wake_up()
        llm.wake_up()

        assert llm.generate_sync("x").text.split()[3:] == ["/sleep?level=2", "/wake_up"]


def test_sleep_can_be_awaited_and_starts_nothing(tmp_path: Path) -> None:
    """A server that isn't started has no memory to give back."""

    async def ask() -> str:
        async with server_llm(tmp_path, env={"VLLM_SERVER_DEV_MODE": "1"}) as llm:
            await llm.sleep_async()
            await llm.wake_up_async()
            return (await llm.generate("x")).text

    assert asyncio.run(ask()).isdecimal()


def test_server_that_was_not_started_for_it_is_told(tmp_path: Path) -> None:
    """The error says what it must be started with, and it can be asked as before."""
    with server_llm(tmp_path) as llm:
        llm.generate_sync("x")
        with pytest.raises(EngineError, match=r"HTTP 404: /sleep\?level=1: .*VLLM_SERVER_DEV_MODE"):
            llm.sleep()

        assert llm.generate_sync("x").text.isdecimal()


def test_engine_that_cannot_sleep_is_refused() -> None:
    """Those that can are named; a level is known to some."""
    with pytest.raises(ConfigError, match="engine fake can't sleep\n    can: vllm, sglang"):
        LLM("fake:m").sleep()
    served = LLM({"name": "m"}, engine={"kind": "sglang", "base_url": "http://127.0.0.1:9/v1"})
    with pytest.raises(ConfigError, match="level: 2 given, engine sglang knows 1"):
        served.sleep(level=2)
