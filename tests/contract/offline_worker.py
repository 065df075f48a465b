"""A worker with an engine in it: tells the processes that the engine runs in, then does as it is told.

    python -m tests.contract.offline_worker KIND [die]

With ``die`` it kills the first of them and tells how the next request fails; else it asks until it is killed.
"""

from __future__ import annotations

import asyncio
import sys

import psutil
import uvloop

from runner.engines.base import Engine
from runner.engines.registry import engine_kinds
from runner.errors import EngineError
from runner.spec import Model
from tests.contract.subjects import SETTINGS, TINY, chat

LONG = chat("roll", temperature=1.0, max_tokens=1500, ignore_eos=True)


def _tell(*words: object) -> None:
    print("TOLD", *words, flush=True)


def _engines() -> list[psutil.Process]:
    """Return the processes of the engine: those whose name it has set, and their kin."""
    return [p for p in psutil.Process().children(recursive=True) if ":" in p.name()]


async def _failure(engine: Engine) -> None:
    asked = asyncio.create_task(engine.generate(LONG))
    await anext(aiter(engine.stream(LONG)))
    _engines()[0].kill()
    try:
        await asked
    except EngineError as error:
        _tell("gone", error.message.split(";")[0])


async def _run(kind: str, *, die: bool) -> None:
    described = engine_kinds()[kind]
    settings = described.settings(**SETTINGS[kind])
    async with described.create(settings, Model(name=str(TINY))) as engine:
        _tell("processes", *(process.pid for process in _engines()))
        if die:
            await _failure(engine)
        else:
            while True:
                await engine.generate(LONG)


if __name__ == "__main__":
    uvloop.run(_run(sys.argv[1], die="die" in sys.argv))
    _tell("ended")
