"""Asks a model that mistral.rs runs in this process."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from runner.engines.asked import require_asked
from runner.engines.base import EngineContext
from runner.engines.chat_templates import as_jinja
from runner.engines.chunks import Chunk
from runner.engines.constraints import choice_regex, constraint_of, with_values
from runner.engines.course import Course
from runner.engines.dtypes import DTYPES
from runner.engines.mistralrs import KIND, Mistralrs
from runner.engines.mistralrs_answers import choice_of, put_together
from runner.engines.weights import stored_dtype, weights_fault, weights_folder
from runner.errors import (
    BadRequestError,
    ContextLengthError,
    EngineStartError,
    RequestTimeoutError,
)
from runner.spec import EngineSettings, Model
from runner.spec.sampling import CONSTRAINTS
from runner.values import Choice, Message, Request, Response, Usage, request_key

_ALL_TOKENS = 2**31 - 1
"""For top_k: left to itself mistral.rs may take 1, and then no temperature has any effect."""
_NAMES = {name: taken.name for name, taken in KIND.capabilities.sampling.items()}
_DTYPES = {"auto": "Auto", "float32": "F32", "bfloat16": "BF16", "float16": "F16"}
"""torch's names -> mistral.rs's own."""
_TOO_LONG = "sequence length is greater"
_MOST_DRAWS = 32
_THREADS = "RAYON_NUM_THREADS"
_SMALL = 64 * 2**20
"""Bytes of weights below which sharing the work among threads costs more than it saves."""


class MistralrsEngine:
    """One model in one thread of its own: the library is not made for calls from several."""

    def __init__(self, settings: EngineSettings, model: Model, context: EngineContext) -> None:  # noqa: ARG002 - every engine gets all three
        assert isinstance(settings, Mistralrs)
        self._timeout = settings.timeout
        self._in_pieces = settings.stream
        self._model = model
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="mistralrs")
        self._turn = asyncio.Lock()
        self._under_way: asyncio.Future[Any] | None = None
        self._library: Any = None
        self._runner: Any = None
        self._version: str | None = None
        self._drawing = False

    @property
    def version(self) -> str | None:
        """Version of the installed library."""
        return self._version

    async def __aenter__(self) -> Self:
        await self._call(self._load)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._runner = None
        await asyncio.to_thread(self._thread.shutdown, cancel_futures=True)

    async def generate(self, request: Request) -> Response:
        async with self._my_turn() as deadline:
            generate = partial(self._generate, request, in_pieces=self._in_pieces)
            response: Response = await self._bounded(deadline, generate)
        return response

    async def stream(self, request: Request) -> AsyncGenerator[Chunk | Response]:
        """Yield chunks as they come, and the response; what never comes in pieces is the response alone."""
        async with self._my_turn() as deadline:
            if KIND.capabilities.no_pieces(request.task, request.sampling):
                yield await self._bounded(deadline, partial(self._generate, request, in_pieces=False))
                return
            course = Course("mistralrs", 1)
            pieces, found = self._pieces(request), []
            while (piece := await self._bounded(deadline, next, pieces, None)) is not None:
                found.append(piece)
                for choice in piece.choices:
                    said, thought = choice.delta.content, choice.delta.reasoning_content
                    if said or thought:
                        course.spoke()
                        yield Chunk(0, said or "", reasoning=thought or None)
            choice, usage = put_together(found, course, spoken=True)
            yield await self._bounded(deadline, self._response, request, (choice,), usage, course)

    @asynccontextmanager
    async def _my_turn(self) -> AsyncIterator[float]:
        """Wait until the thread is free, and yield when a request that begins now is late."""
        async with self._turn:
            if self._under_way is not None:
                # Nobody waits for it any more, but the library can't be told so.
                await asyncio.wait([self._under_way])
            yield asyncio.get_running_loop().time() + self._timeout

    async def _bounded(self, deadline: float, function: Any, *given: Any) -> Any:
        """Call in the thread; what is late goes on there, until the next one's turn."""
        self._under_way = asyncio.ensure_future(self._call(function, *given))
        self._under_way.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            async with asyncio.timeout_at(deadline):
                return await asyncio.shield(self._under_way)
        except TimeoutError:
            raise RequestTimeoutError(f"no answer within {self._timeout:g} s") from None

    async def _call(self, function: Any, *given: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *given)

    def _load(self) -> None:
        if fault := weights_fault(self._model):
            raise EngineStartError(str(fault))
        folder = weights_folder(self._model)
        assert folder is not None
        dtype = _DTYPES[DTYPES.get(self._model.dtype or stored_dtype(folder) or "auto", "auto")]
        if dtype == "F32":
            os.environ.setdefault("MISTRALRS_CPU_KV_F32", "1")  # else keys and values are kept in half of it
        os.environ.setdefault("RUST_LOG", "warn")
        self._library = library = _library()
        self._version = metadata.version("mistralrs")
        with _threads_for(folder), tempfile.TemporaryDirectory() as temporary:
            try:
                self._runner = library.Runner(
                    which=library.Which.Plain(model_id=str(folder), dtype=getattr(library.ModelDType, dtype)),
                    in_situ_quant=self._model.quantization,
                    jinja_explicit=as_jinja(self._model, Path(temporary)).chat_template,
                )
            except ValueError as error:
                raise EngineStartError(
                    f"mistralrs can't load {self._model.name}: {_first_line(error)}"
                ) from error

    def _generate(self, request: Request, *, in_pieces: bool) -> Response:
        course = Course("mistralrs", 1)
        if in_pieces:
            if what := KIND.capabilities.no_pieces(request.task, request.sampling):
                raise BadRequestError(f"mistralrs can't stream {what}: leave out engine.stream")
            choice, usage = put_together(self._pieces(request), course)
            choices: tuple[Choice, ...] = (choice,)
        else:
            answer = self._send(request)
            choices, usage = tuple(map(choice_of, answer.choices)), answer.usage
        return self._response(request, choices, usage, course)

    def _response(
        self, request: Request, choices: tuple[Choice, ...], usage: Any, course: Course
    ) -> Response:
        response = Response(
            choices=choices,
            usage=self._usage(usage, choices),
            timing=course.timing(),
            engine=KIND.name,
            engine_version=self._version,
        )
        require_asked(request, response)
        return with_values(request, response)

    def _send(self, request: Request, *, stream: bool = False) -> Any:
        sampling = {
            _NAMES[name]: value for name, value in request.sampling.items() if name not in CONSTRAINTS
        }
        sampling |= _grammar(request)
        sampling.setdefault("top_k", _ALL_TOKENS)
        if sampling.get("logprobs"):
            sampling.setdefault("top_logprobs", 0)
        if sampling.get("temperature") and not self._drawing:
            self._shift(request)
        with _refusals():
            if isinstance(request.input, str):
                return self._runner.send_completion_request(
                    self._library.CompletionRequest(prompt=request.input, model="", **sampling)
                )
            messages = [_message(message) for message in request.messages]
            return self._runner.send_chat_completion_request(
                self._library.ChatCompletionRequest(messages=messages, model="", stream=stream, **sampling)
            )

    def _pieces(self, request: Request) -> Iterator[Any]:
        """Yield the pieces of an answer, as the library has them; it is asked with the first."""
        chunks = self._send(request, stream=True)
        while True:
            with _refusals():
                chunk = next(chunks, None)
            if chunk is None:
                return
            yield chunk

    def _shift(self, request: Request) -> None:
        """Pass over random numbers, as many as the first request to draw any says.

        mistral.rs starts every process with the same random numbers. Without this the samples of
        a later run, or of a job beside this one, would repeat the draws of the earlier ones.
        """
        self._drawing = True
        key = request_key(request.canonical())
        for count, tokens in ((1 + key[0] % _MOST_DRAWS, 1), (_MOST_DRAWS, 1 + key[1] % _MOST_DRAWS)):
            self._runner.send_chat_completion_request(
                self._library.ChatCompletionRequest(
                    messages=[{"role": "user", "content": "."}],
                    model="",
                    n_choices=count,
                    max_tokens=tokens,
                    ignore_eos=True,
                    temperature=1.0,
                    top_k=_ALL_TOKENS,
                )
            )

    def _usage(self, usage: Any, choices: tuple[Choice, ...]) -> Usage:
        details = usage.prompt_tokens_details
        completion = usage.completion_tokens
        if len(choices) > 1:
            # The library counts one choice only.
            completion = sum(self._count(choice) for choice in choices)
        return Usage(
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=completion,
            cached_tokens=(details.cached_tokens or 0) if details is not None else 0,
        )

    def _count(self, choice: Choice) -> int:
        end = int(choice.finish_reason == "stop")
        return (
            len(self._runner.tokenize_text(choice.text, add_special_tokens=False, enable_thinking=None)) + end
        )


@contextmanager
def _refusals() -> Iterator[None]:
    """Say in our words what the library refuses."""
    try:
        yield
    except (TypeError, ValueError) as error:
        line = _first_line(error)
        kind = ContextLengthError if _TOO_LONG in line else BadRequestError
        raise kind(line) from error


def _library() -> Any:
    if install := KIND.missing():
        raise EngineStartError(f"mistralrs is not installed: {install}")
    import mistralrs

    return mistralrs


@contextmanager
def _threads_for(folder: Path) -> Iterator[None]:
    """Keep the library's pool, which loading creates, to one thread for small weights."""
    small = sum(file.stat().st_size for file in folder.glob("*.safetensors")) < _SMALL
    if not small or _THREADS in os.environ:
        yield
        return
    os.environ[_THREADS] = "1"
    try:
        yield
    finally:
        del os.environ[_THREADS]


def _grammar(request: Request) -> dict[str, str]:
    """Return how the library is told what the answer has to obey."""
    match constraint_of(request):
        case ("json_schema", schema):
            return {"grammar_type": "json_schema", "grammar": json.dumps(schema)}
        case ("regex", pattern):
            return {"grammar_type": "regex", "grammar": pattern}
        case ("choice", choices):
            return {"grammar_type": "regex", "grammar": choice_regex(choices)}
    return {}


def _message(message: Message) -> Message:
    """Check what the library would ignore or break on."""
    others = sorted(message.keys() - {"role", "content"})
    if others:
        raise BadRequestError(f"mistralrs takes role and content of a message, not {', '.join(others)}")
    if not isinstance(message.get("content"), str | list) or not isinstance(message.get("role"), str):
        raise BadRequestError("a message needs a role and a content")
    return message


def _first_line(error: Exception) -> str:
    """Leave out the trace of the library's own frames."""
    return str(error).partition("\n")[0]
