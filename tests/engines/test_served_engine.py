"""A server that the job starts itself, in an environment that other programs have set up."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from runner.engines.base import EngineContext
from runner.engines.registry import engine_kinds
from runner.engines.served_engine import ServedEngine
from runner.engines.sleeping import Sleeper
from runner.servers import free_port
from runner.shipped import shipped
from runner.spec import Model
from tests.engines.asking_engines import chat_request
from tests.http_server import Exchange, HttpServer
from tests.llm import stub_vllm
from tests.work.work_kit import CHAT, completion

KEY = "hf_0123456789abcdef"


def asked(folder: Path, *, python: str) -> str:
    """Start a server, have it sleep and wake, and return what it answers."""
    kind = engine_kinds()["vllm"]
    env = {"VLLM_SERVER_DEV_MODE": "1"}
    settings = kind.settings.model_validate({"python": python, "device": "cpu", "env": env})

    async def go() -> str:
        model = Model(name=str(shipped() / "models" / "tiny"))
        async with kind.create(settings, model, EngineContext(folder=folder)) as engine:
            assert isinstance(engine, ServedEngine)
            sleeper = Sleeper(settings, engine)  # type: ignore[arg-type] # of a server
            await sleeper.sleep(1)
            await sleeper.wake_up()
            return (await engine.generate(chat_request())).text

    return asyncio.run(go())


def test_own_server_is_asked_past_the_environments_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy reaches the job's own machine at best by going round."""
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    monkeypatch.delenv("no_proxy", raising=False)

    told = asked(tmp_path, python=stub_vllm.interpreter(tmp_path))

    assert told.endswith("/sleep?level=1 /wake_up")


def test_keys_of_the_environment_are_masked_in_the_servers_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server inherits them all, and may print them."""
    monkeypatch.setenv("STUB_TOKEN", KEY)
    loud = tmp_path / "loud"
    loud.write_text(f'#!/bin/sh\necho "key $STUB_TOKEN"\nexec {stub_vllm.interpreter(tmp_path)} "$@"\n')
    loud.chmod(0o755)

    asked(tmp_path, python=str(loud))

    log = (tmp_path / "server-0.log").read_text()
    assert log.startswith("key ***\n")
    assert KEY not in log


@pytest.mark.parametrize("kind", ["vllm", "sglang", "candle_vllm", "openllm", "openai_compatible"])
@pytest.mark.parametrize("named", [{"served_model_name": "served"}, {}])
def test_server_at_an_address_is_asked_by_its_name_for_the_model(kind: str, named: dict[str, str]) -> None:
    """Without one it is asked by the model's own."""
    asked: list[str] = []

    async def answer(exchange: Exchange) -> None:
        asked.append(exchange.request.json()["model"])
        await exchange.answer(completion("hi"))

    async def go(url: str) -> None:
        described = engine_kinds()[kind]
        settings = described.settings.model_validate({"base_url": url, **named})
        async with described.create(settings, Model(name="/data/weights"), EngineContext()) as engine:
            await engine.generate(chat_request())

    with HttpServer({CHAT: answer}) as server:
        asyncio.run(go(server.url("/v1")))

    assert asked == [named.get("served_model_name", "/data/weights")]
