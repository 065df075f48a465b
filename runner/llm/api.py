"""`LLM`: what a user's code holds."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, overload

from runner.errors import AskError, ConfigError, Fault
from runner.llm.calls import batched, kept
from runner.llm.declared import Arguments, cache_of, plain, project_of
from runner.llm.foreign import converted
from runner.llm.holding import on_loop, waited
from runner.llm.inputs import Input
from runner.llm.starting import check_sleep
from runner.llm.streaming import AsyncStream, Stream
from runner.llm.valued import Valued
from runner.values import VALUE_TASKS, Response


class LLM(Valued):
    """One model on one engine. Nothing is loaded or started before the first request that isn't stored.

    `generate`, `stream`, and the methods that are answered with numbers, such as `embed`, are to be awaited,
    from whatever loop, and have twins for code without one: `generate_sync`, `stream_sync`, `embed_sync`.
    `batch` and `close` wait, and have twins to be awaited: `batch_async`, `close_async`. Any thread may call
    any of them.

    A copy, as pickling makes it for another process, starts an engine of its own there when it is used.
    """

    def __init__(  # noqa: PLR0913 - the keys of an experiment file
        self,
        model: str | Mapping[str, Any],
        *,
        engine: str | Mapping[str, Any] | None = None,
        topology: str | Mapping[str, Any] | None = None,
        sampling: str | Mapping[str, Any] | None = None,
        task: Literal["chat", "complete"] = "chat",
        cache: bool | str | Path = True,
        project: str | Path | None = None,
    ) -> None:
        """Declare a model as an experiment file would: text chooses an option, a map is the value.

        Args:
            model: an option of conf/model/, ``hf:ORG/NAME``, ``KIND:NAME``, a folder, or a map.
            engine: an option, a kind, or a map; a model may bring its own.
            topology: GPUs for one copy of the model.
            sampling: what calls don't say themselves.
            task: what `generate`, `stream` and `batch` do: chat sends messages, complete a prompt as it is.
            cache: as in a file; or the path of a cache file, instead of the one that experiments share.
            project: what relative paths and options are looked up from: this folder, or the nearest above
                it that holds ``conf/`` or ``templates/``. Left out, it is the working folder.

        Raises:
            ConfigError: all faults, as `runner plan` would tell them.
        """
        if str(task) in VALUE_TASKS:
            raise ConfigError([Fault("task", f"{task} is a method here", f"leave it out, and call {task}()")])
        given = {"model": model, "engine": engine, "topology": topology, "sampling": sampling, "task": task}
        mode, file = cache_of(cache)
        declared = {name: plain(value, name) for name, value in given.items() if value is not None}
        super().__init__(
            Arguments(
                declared=tuple({**declared, "cache": mode}.items()),
                project=project_of(project),
                cache=file,
            )
        )

    async def generate(
        self,
        input: Input,  # noqa: A002 - what it is
        *,
        sample: int = 0,
        timeout: float | None = None,
        **sampling: Any,
    ) -> Response:
        """Return the answer to one input.

        Args:
            input: text, strings that alternate, or messages; for task complete a prompt or token ids.
            sample: which of several independent answers to the same input; each is stored for itself.
            timeout: most seconds from sending the request to its response, retries included; what it takes to
                start the engine, or to have a free place there, doesn't count. It is not part of the key.
            **sampling: values for this call, by their names in a file.

        Raises:
            AskError: the engine could not answer; what may succeed another time was tried again.
            InputError: one of these and a ValueError: nothing can be made of *input*.
            ConfigError: values that the engine can't honour, all of them.
        """
        return (
            await asyncio.wrap_future(self._submit(self._call(sampling), input, sample, timeout))
        ).response

    def generate_sync(
        self,
        input: Input,  # noqa: A002 - the same
        *,
        sample: int = 0,
        timeout: float | None = None,
        **sampling: Any,
    ) -> Response:
        """Do as `generate` does, and wait for it."""
        return waited(self._submit(self._call(sampling), input, sample, timeout)).response

    def stream(
        self,
        input: Input,  # noqa: A002 - the same
        *,
        sample: int = 0,
        timeout: float | None = None,
        **sampling: Any,
    ) -> AsyncStream:
        """Return the answer as it comes: ``async for text in llm.stream(...)``, or ``.chunks()`` of it.

        The response is the same as that of `generate`, and stored like it; one that is stored comes as a
        chunk for each choice. Nothing is sent before the first piece is wanted. Once chunks have come, an
        error ends the stream.
        """
        return AsyncStream(*self._streaming(self._call(sampling), input, sample, timeout))

    def stream_sync(
        self,
        input: Input,  # noqa: A002 - the same
        *,
        sample: int = 0,
        timeout: float | None = None,
        **sampling: Any,
    ) -> Stream:
        """Do as `stream` does, for a plain loop."""
        return Stream(*self._streaming(self._call(sampling), input, sample, timeout))

    @overload
    def batch(
        self,
        inputs: Iterable[Input],
        *,
        errors: Literal["raise"] = "raise",
        progress: bool = True,
        sample: int = 0,
        timeout: float | None = ...,
        **sampling: Any,
    ) -> list[Response]: ...

    @overload
    def batch(
        self,
        inputs: Iterable[Input],
        *,
        errors: Literal["return"],
        progress: bool = True,
        sample: int = 0,
        timeout: float | None = ...,
        **sampling: Any,
    ) -> list[Response | AskError]: ...

    def batch(
        self,
        inputs: Iterable[Input],
        *,
        errors: Literal["raise", "return"] = "raise",
        progress: bool = True,
        sample: int = 0,
        timeout: float | None = None,
        **sampling: Any,
    ) -> Any:
        """Return the answers to many inputs, in their order; any iterable will do.

        Args:
            inputs: taken as there is room, so that a generator may be endless in all but time.
            errors: raise the first once the others are done, or return each in its input's place.
            progress: show it on standard error.
            sample: as for `generate`.
            timeout: as for `generate`, of each input.
            **sampling: the same values for all.
        """
        batch = self._batch(self._call(sampling), inputs, progress, sample, timeout)
        return batch.run(inputs, keep_errors=kept(errors))

    async def batch_async(
        self,
        inputs: Iterable[Input],
        *,
        errors: Literal["raise", "return"] = "raise",
        progress: bool = True,
        sample: int = 0,
        timeout: float | None = None,
        **sampling: Any,
    ) -> list[Any]:
        """Do as `batch` does, to be awaited; *inputs* are taken in a thread."""
        batch = self._batch(self._call(sampling), inputs, progress, sample, timeout)
        return await batched(batch, inputs, keep_errors=kept(errors))

    def sleep(self, level: int = 1) -> None:
        """Have a server free its GPUs' memory, once what is in flight is answered; the next request wakes it.

        Args:
            level: 1 keeps the weights in main memory; 2 drops them, where the server knows that.

        Raises:
            ConfigError: the engine can't sleep.
            EngineError: the server was not started for it.
        """
        level = converted(level)
        check_sleep(self._plan().plain.point, level)
        waited(on_loop(self._running().sleep(level)))

    async def sleep_async(self, level: int = 1) -> None:
        """Do as `sleep` does, to be awaited."""
        level = converted(level)
        check_sleep(self._plan().plain.point, level)
        await asyncio.wrap_future(on_loop(self._running().sleep(level)))

    def wake_up(self) -> None:
        """Have a server that sleeps take its memory again."""
        check_sleep(self._plan().plain.point)
        waited(on_loop(self._running().wake_up()))

    async def wake_up_async(self) -> None:
        """Do as `wake_up` does, to be awaited."""
        check_sleep(self._plan().plain.point)
        await asyncio.wrap_future(on_loop(self._running().wake_up()))

    def close(self) -> None:
        """End what was started, and whatever is in flight; the next call starts it again."""
        if (running := self._held.release()) is not None:
            waited(on_loop(running.close()))

    async def close_async(self) -> None:
        """Do as `close` does, to be awaited."""
        if (running := self._held.release()) is not None:
            await asyncio.wrap_future(on_loop(running.close()))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close_async()
