"""Engines under contract: real ones, each started once and asked from any test."""

from __future__ import annotations

import asyncio
import json
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from runner.engines.base import Engine, EngineContext, EngineKind
from runner.engines.capabilities import Parameter
from runner.engines.chunks import Chunk
from runner.engines.registry import engine_kinds
from runner.engines.served_engine import ServedEngine
from runner.errors import ConnectionFailedError
from runner.spec import Model
from runner.values import Request, Response, Scope
from tests.contract.environments import engine_python
from tests.engines.chunk_kit import chunks_of, texts_of

ROOT = Path(__file__).resolve().parents[2]
TINY = ROOT / "models" / "tiny"
_SCOPE = Scope(model={"name": "tiny"}, engine={"kind": "contract"})

_OWN: Mapping[str, Mapping[str, Any]] = {
    "mistralrs": {},
    "transformers": {"device": "cpu"},
    "vllm": {
        "device": "cpu",
        "args": {
            "max-model-len": 2048,
            "enforce-eager": True,
            "max-logprobs": 20,
            "tool-call-parser": "hermes",
        },
        "env": {
            "VLLM_CPU_KVCACHE_SPACE": "1",
            "VLLM_CPU_OMP_THREADS_BIND": "nobind",
            "OMP_NUM_THREADS": "1",
            "HF_HUB_OFFLINE": "1",
            "VLLM_SERVER_DEV_MODE": "1",  # for /sleep
        },
    },
    "sglang": {
        "device": "cpu",
        "args": {
            "attention-backend": "torch_native",
            "max-total-tokens": 16384,
            "disable-overlap-schedule": True,
            "tool-call-parser": "hermes",
        },
        "env": {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
    },
}
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    **_OWN,
    "vllm_offline": _OWN["vllm"],
    "sglang_offline": _OWN["sglang"],
}
"""What each kind needs to run the tiny model on a CPU."""


@dataclass
class Subject:
    """A started engine; `ask` may be called from any thread.

    Attributes:
        task: how `asking` puts a text: as a chat message, or to complete as the prompt that the template
            makes of that message.
    """

    kind: EngineKind
    engine: Engine
    loop: asyncio.AbstractEventLoop = field(repr=False)
    task: str = "chat"

    def put(self, task: str) -> Subject:
        """Return the same engine, asked in another way."""
        return replace(self, task=task)

    @property
    def takes(self) -> Mapping[str, Parameter]:
        """The parameters that may be asked for."""
        return self.kind.capabilities.takes(self.task)

    def asking(self, text: str, **sampling: Any) -> Request:
        """Return a request that the model answers as it answers a chat message."""
        if self.task == "complete":
            return complete(f"<|user|>{text}<|assistant|>", **sampling)
        return chat(text, **sampling)

    def ask(self, *requests: Request) -> list[Response]:
        """Return the answers, asked at once."""

        async def answer(request: Request) -> Response:
            try:
                return await self.engine.generate(request)
            except ConnectionFailedError:  # a job sends again too: servers end kept connections as they like
                return await self.engine.generate(request)

        async def all_of_them() -> list[Response]:
            return await asyncio.gather(*map(answer, requests))

        return asyncio.run_coroutine_threadsafe(all_of_them(), self.loop).result(timeout=240)

    def one(self, text: str, **sampling: Any) -> Response:
        """Return the answer to one text."""
        return self.ask(self.asking(text, **sampling))[0]

    def streamed(self, request: Request) -> list[str]:
        """Return the texts of a streamed answer, in order."""
        return asyncio.run_coroutine_threadsafe(texts_of(self.engine, request), self.loop).result(timeout=240)

    def chunks(self, request: Request) -> tuple[list[Chunk], Response]:
        """Return the chunks of a streamed answer, and its response."""

        async def read() -> list[Chunk | Response]:
            return [item async for item in chunks_of(self.engine, request)]

        *found, response = asyncio.run_coroutine_threadsafe(read(), self.loop).result(timeout=240)
        assert isinstance(response, Response)
        return [one for one in found if isinstance(one, Chunk)], response

    @contextmanager
    def attached(self, **settings: Any) -> Iterator[Subject]:
        """Yield another engine of the kind, attached to this one's server."""
        assert isinstance(self.engine, ServedEngine)
        given = self.kind.settings.model_validate({"base_url": f"{self.engine.address}/v1", **settings})
        engine = self.kind.create(given, Model(name="tiny"))
        asyncio.run_coroutine_threadsafe(engine.__aenter__(), self.loop).result(timeout=60)
        try:
            yield Subject(self.kind, engine, self.loop)
        finally:
            asyncio.run_coroutine_threadsafe(engine.__aexit__(None, None, None), self.loop).result(timeout=60)


def chat(text: str, **sampling: Any) -> Request:
    """Return a request with one user message."""
    return messages({"role": "user", "content": text}, **sampling)


def messages(*turns: dict[str, Any], **sampling: Any) -> Request:
    """Return a chat request of several turns."""
    return Request("chat", turns, {"max_tokens": 16, **sampling}, _SCOPE)


def complete(prompt: str | tuple[int, ...], **sampling: Any) -> Request:
    """Return a request with a raw prompt."""
    return Request("complete", prompt, {"max_tokens": 16, **sampling}, _SCOPE)


def with_variables(model: Path) -> None:
    """Let a model's chat template read two variables; without them it is as it was.

    *instead* stands for what a message says, and so do two sums for a low and a high reasoning effort.
    """
    file = model / "tokenizer_config.json"
    config = json.loads(file.read_text())
    said = "{{ message['content'] | trim }}"
    low, high = (f"{{% elif reasoning_effort == '{name}' %}}{text}" for name, text in EFFORTS.items())
    variables = f"{{% if instead %}}{{{{ instead }}}}{low}{high}{{% else %}}{said}{{% endif %}}"
    assert said in config["chat_template"]
    config["chat_template"] = config["chat_template"].replace(said, variables)
    file.write_text(json.dumps(config))


EFFORTS = {"low": "1+1", "high": "20+20"}
"""What `with_variables` says instead of a message, by reasoning effort."""


def _settings(name: str) -> dict[str, Any]:
    """Return what a kind needs here, with the interpreter of its environment."""
    python = engine_python(name)
    return {**SETTINGS[name], **({"python": str(python)} if python is not None else {})}


@contextmanager
def started(
    name: str,
    folder: Path,
    task: str = "chat",
    args: Mapping[str, Any] | None = None,
    given: Model | None = None,
    change: Callable[[Path], None] = lambda _: None,
) -> Iterator[Subject]:
    """Start an engine of a kind for a task on a copy of the tiny model, *change*d, in its own thread."""
    kind = engine_kinds()[name]
    if (install := kind.missing(kind.settings.model_validate(_settings(name)))) is not None:
        pytest.skip(f"{name} runs where it is installed ({install}): see test_elsewhere")
    if given is None:
        copy = shutil.copytree(TINY, folder / "tiny")
        change(copy)
        given = Model(name=str(copy))
    settings = _settings(name)
    if args is not None:
        settings["args"] = {**settings["args"], **args}
    with running_loop() as (loop, wait):
        context = EngineContext(folder=folder, task=task)
        engine = kind.create(kind.settings(**settings), given, context)
        wait(engine.__aenter__())
        try:
            yield Subject(kind, engine, loop)
        finally:
            wait(engine.__aexit__(None, None, None))


@contextmanager
def running_loop() -> Iterator[tuple[asyncio.AbstractEventLoop, Callable[[Any], Any]]]:
    """Run a loop in its own thread; yield it, and what waits for a coroutine there."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="engine loop")
    thread.start()

    def wait(coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result(timeout=600)

    try:
        yield loop, wait
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
