"""A worker with an engine in it: tells the processes that the engine runs in, then does as it is told.

    python -m tests.contract.offline_worker KIND [die|time]

With ``die`` it kills the first of them and tells how the next request fails; with ``time`` it tells the times
of an answer in pieces, and the answer; else it asks until it is killed.
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


async def _times(engine: Engine) -> None:
    response = await engine.generate(chat("reverse abcdefg", temperature=0.0))
    timing = response.timing
    _tell("times", timing.first_token, timing.inter_token, timing.seconds, response.text)


async def _run(kind: str, todo: str) -> None:
    described = engine_kinds()[kind]
    settings = described.settings(**{**SETTINGS[kind], "stream": todo == "time"})
    async with described.create(settings, Model(name=str(TINY))) as engine:
        _tell("processes", *(process.pid for process in _engines()))
        if todo == "die":
            await _failure(engine)
        elif todo == "time":
            await _times(engine)
        else:
            while True:
                await engine.generate(LONG)


if __name__ == "__main__":
    uvloop.run(_run(sys.argv[1], "".join(sys.argv[2:])))
    _tell("ended")
