"""Starts SGLang in this process: sgl.Engine, and its own API on top."""

from __future__ import annotations

import argparse
import asyncio
import atexit
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from sglang.srt.entrypoints import http_server
from sglang.srt.entrypoints.engine import Engine
from sglang.srt.entrypoints.openai.serving_classify import OpenAIServingClassify
from sglang.srt.entrypoints.openai.serving_completions import OpenAIServingCompletion
from sglang.srt.entrypoints.openai.serving_embedding import OpenAIServingEmbedding
from sglang.srt.entrypoints.openai.serving_rerank import OpenAIServingRerank
from sglang.srt.server_args import ServerArgs, prepare_server_args

from runner.engines.asgi import Event
from runner.engines.offline_engine import starting, strict
from runner.errors import EngineStartError

_SERVING = {
    "completion": OpenAIServingCompletion,
    "embedding": OpenAIServingEmbedding,
    "classify": OpenAIServingClassify,
    "rerank": OpenAIServingRerank,
}
"""Of its API what is asked here, beside chats: name of the state's attribute -> what answers."""

_DIED = "one of its processes has ended; see above in this log"


@dataclass(frozen=True, slots=True)
class SglangRunning:
    """SGLang, started; `died` is done once one of its processes has ended."""

    died: asyncio.Future[None] = field(repr=False)

    @property
    def gone(self) -> str | None:
        """Why it can't answer any more."""
        return _DIED if self.died.done() else None

    async def app(
        self,
        scope: dict[str, Any],
        receive: Callable[[], Awaitable[Event]],
        send: Callable[[Event], Awaitable[None]],
    ) -> None:
        """Its own API; breaks off where nobody is left to answer."""
        asked = asyncio.ensure_future(http_server.app(scope, receive, send))
        try:
            await asyncio.wait([asked, self.died], return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not asked.done():
                asked.cancel()
        if asked.cancelled() or not asked.done():
            raise ConnectionResetError(_DIED)
        asked.result()


@asynccontextmanager
async def opened(words: Sequence[str]) -> AsyncIterator[SglangRunning]:
    """Start the engine that a command line of `sglang.launch_server` describes.

    Raises:
        EngineStartError: it refuses the arguments, or can't start.
    """
    parser = strict("sglang", argparse.ArgumentParser(prog="sglang"))
    ServerArgs.add_cli_args(parser)
    parser.parse_args(list(words))  # the next line's own would exit
    arguments = prepare_server_args(list(words))
    died = asyncio.get_running_loop().create_future()
    with _told_of_deaths(died):
        async with starting("sglang", _engine(arguments, died)) as engine:
            _give_to_api(engine)
            yield SglangRunning(died)


def _give_to_api(engine: Any) -> None:
    """Have SGLang's own API ask the engine, as its server does once it is started."""
    manager, templates = engine.tokenizer_manager, engine.template_manager
    state = http_server.app.state
    state.openai_serving_chat = manager.serving_chat_class(manager, templates)
    for name, serving in _SERVING.items():
        setattr(state, f"openai_serving_{name}", serving(manager, templates))
    # Routes that are not OpenAI's look there.
    http_server.set_global_state(http_server._GlobalState(manager, templates, {}))  # noqa: SLF001


@asynccontextmanager
async def _engine(arguments: Any, died: asyncio.Future[None]) -> AsyncIterator[Any]:
    # In a thread, so that it takes over none of this process's signals, and the loop hears of deaths.
    start = asyncio.ensure_future(asyncio.to_thread(Engine, server_args=arguments))
    await asyncio.wait([start, died], return_when=asyncio.FIRST_COMPLETED)
    if not start.done():
        raise EngineStartError(f"sglang can't start: {_DIED}")
    engine = start.result()
    manager = engine.tokenizer_manager
    # What it does itself with the first request, but for its signal handlers, which would end the runner.
    manager.event_loop = asyncio.get_running_loop()
    reading = asyncio.create_task(manager.handle_loop())
    reading.add_done_callback(lambda _: _settle(died))
    try:
        yield engine
    finally:
        reading.cancel()
        # Its own end would kill every child of this process, others' too; the watch ends those it started.
        atexit.unregister(engine.shutdown)
        if manager._subprocess_watchdog is not None:  # noqa: SLF001 - it has no other name
            manager._subprocess_watchdog.stop()  # noqa: SLF001


@contextmanager
def _told_of_deaths(died: asyncio.Future[None]) -> Iterator[None]:
    """Have the signal that SGLang sends when a process of its own dies end the engine, not this process."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop, before = asyncio.get_running_loop(), signal.getsignal(signal.SIGQUIT)
    loop.add_signal_handler(signal.SIGQUIT, _settle, died)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGQUIT)
        signal.signal(signal.SIGQUIT, before)


def _settle(died: asyncio.Future[None]) -> None:
    if not died.done():
        died.set_result(None)
