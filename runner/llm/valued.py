"""The methods of an LLM that are answered with numbers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence, Sized
from typing import Any, Literal, TypeAlias, overload

from runner.errors import AskError
from runner.llm.calls import Calls, batched, kept
from runner.llm.foreign import converted, is_single, require_column
from runner.llm.holding import waited
from runner.narrow_floats import floats
from runner.valued import value_of
from runner.values import Json, Response

Errors: TypeAlias = Literal["raise", "return"]
Vector: TypeAlias = list[float]
"""Each number is exactly its float32: an array of float32 made of them is the vector that was sent."""
Pair: TypeAlias = tuple[str, str] | list[str]
Conversation: TypeAlias = Sequence[Mapping[str, Any]]


class Valued(Calls):
    """Each method is to be awaited, and has a twin that waits.

    Those that take one input or many return one value, or a list of them in the order of the inputs, which
    are taken as `batch` takes them: *errors* says whether the first error is raised once the others are
    answered or each stands in its input's place, *progress* whether a bar is shown. *timeout* is as for
    `generate`, of each input. Other keywords are sampling values for the call; of these, such tasks take
    ``passthrough`` alone. All raise what `generate` raises, and a `ConfigError` for a task that the engine
    can't do.
    """

    @overload
    async def embed(self, texts: str, **sampling: Any) -> Vector: ...

    @overload
    async def embed(
        self, texts: Iterable[str], *, errors: Errors = ..., progress: bool = ..., **sampling: Any
    ) -> list[Any]: ...

    async def embed(
        self,
        texts: Any,
        *,
        errors: Errors = "raise",
        progress: bool = True,
        timeout: float | None = None,
        **sampling: Any,
    ) -> Any:
        """Return the vector of a text, or a list of those of many; each is a list of numbers.

        Texts that wait at the same moment share a request, up to ``engine.batch_size`` of them.
        """
        return await self._values("embed", texts, errors, progress, sampling, timeout)

    @overload
    def embed_sync(self, texts: str, **sampling: Any) -> Vector: ...

    @overload
    def embed_sync(
        self, texts: Iterable[str], *, errors: Errors = ..., progress: bool = ..., **sampling: Any
    ) -> list[Any]: ...

    def embed_sync(
        self,
        texts: Any,
        *,
        errors: Errors = "raise",
        progress: bool = True,
        timeout: float | None = None,
        **sampling: Any,
    ) -> Any:
        """Do as `embed` does, and wait for it."""
        return self._values_sync("embed", texts, errors, progress, sampling, timeout)

    @overload
    async def score(self, pairs: Pair, **sampling: Any) -> float: ...

    @overload
    async def score(
        self, pairs: Iterable[Pair], *, errors: Errors = ..., progress: bool = ..., **sampling: Any
    ) -> list[Any]: ...

    async def score(
        self,
        pairs: Any,
        *,
        errors: Errors = "raise",
        progress: bool = True,
        timeout: float | None = None,
        **sampling: Any,
    ) -> Any:
        """Return the score of a pair of texts, or a list of those of many."""
        return await self._values("score", pairs, errors, progress, sampling, timeout)

    @overload
    def score_sync(self, pairs: Pair, **sampling: Any) -> float: ...

    @overload
    def score_sync(
        self, pairs: Iterable[Pair], *, errors: Errors = ..., progress: bool = ..., **sampling: Any
    ) -> list[Any]: ...

    def score_sync(
        self,
        pairs: Any,
        *,
        errors: Errors = "raise",
        progress: bool = True,
        timeout: float | None = None,
        **sampling: Any,
    ) -> Any:
        """Do as `score` does, and wait for it."""
        return self._values_sync("score", pairs, errors, progress, sampling, timeout)

    @overload
    async def classify(self, texts: str, **sampling: Any) -> dict[str, Json]: ...

    @overload
    async def classify(
        self, texts: Iterable[str], *, errors: Errors = ..., progress: bool = ..., **sampling: Any
    ) -> list[Any]: ...

    async def classify(
        self,
        texts: Any,
        *,
        errors: Errors = "raise",
        progress: bool = True,
        timeout: float | None = None,
        **sampling: Any,
    ) -> Any:
        """Return ``{"label": ..., "probs": [...]}`` of a text, or a list of those of many."""
        return await self._values("classify", texts, errors, progress, sampling, timeout)

    @overload
    def classify_sync(self, texts: str, **sampling: Any) -> dict[str, Json]: ...

    @overload
    def classify_sync(
        self, texts: Iterable[str], *, errors: Errors = ..., progress: bool = ..., **sampling: Any
    ) -> list[Any]: ...

    def classify_sync(
        self,
        texts: Any,
        *,
        errors: Errors = "raise",
        progress: bool = True,
        timeout: float | None = None,
        **sampling: Any,
    ) -> Any:
        """Do as `classify` does, and wait for it."""
        return self._values_sync("classify", texts, errors, progress, sampling, timeout)

    @overload
    async def reward(self, inputs: str | Conversation, **sampling: Any) -> float: ...

    @overload
    async def reward(
        self,
        inputs: Iterable[str | Conversation],
        *,
        errors: Errors = ...,
        progress: bool = ...,
        **sampling: Any,
    ) -> list[Any]: ...

    async def reward(
        self,
        inputs: Any,
        *,
        errors: Errors = "raise",
        progress: bool = True,
        timeout: float | None = None,
        **sampling: Any,
    ) -> Any:
        """Return the reward of a text or of messages in the OpenAI form, or a list of those of many."""
        return await self._values("reward", inputs, errors, progress, sampling, timeout)

    @overload
    def reward_sync(self, inputs: str | Conversation, **sampling: Any) -> float: ...

    @overload
    def reward_sync(
        self,
        inputs: Iterable[str | Conversation],
        *,
        errors: Errors = ...,
        progress: bool = ...,
        **sampling: Any,
    ) -> list[Any]: ...

    def reward_sync(
        self,
        inputs: Any,
        *,
        errors: Errors = "raise",
        progress: bool = True,
        timeout: float | None = None,
        **sampling: Any,
    ) -> Any:
        """Do as `reward` does, and wait for it."""
        return self._values_sync("reward", inputs, errors, progress, sampling, timeout)

    async def rerank(
        self, query: str, documents: Sequence[str], *, timeout: float | None = None, **sampling: Any
    ) -> list[float]:
        """Return how well each document goes with a query, in the order of the documents."""
        value: list[float] = await self._one("rerank", (query, documents), sampling, timeout)
        return value

    def rerank_sync(
        self, query: str, documents: Sequence[str], *, timeout: float | None = None, **sampling: Any
    ) -> list[float]:
        """Do as `rerank` does, and wait for it."""
        value: list[float] = self._one_sync("rerank", (query, documents), sampling, timeout)
        return value

    async def loglikelihood(
        self, context: str, continuations: Sequence[str], *, timeout: float | None = None, **sampling: Any
    ) -> list[dict[str, Json]]:
        """Return of each continuation ``{"logprob": ..., "tokens": ..., "greedy": ...}``, in their order."""
        value: list[dict[str, Json]] = await self._one(
            "loglikelihood", (context, continuations), sampling, timeout
        )
        return value

    def loglikelihood_sync(
        self, context: str, continuations: Sequence[str], *, timeout: float | None = None, **sampling: Any
    ) -> list[dict[str, Json]]:
        """Do as `loglikelihood` does, and wait for it."""
        value: list[dict[str, Json]] = self._one_sync(
            "loglikelihood", (context, continuations), sampling, timeout
        )
        return value

    async def _one(self, task: str, given: Any, sampling: Mapping[str, Any], timeout: float | None) -> Any:
        future = self._submit(self._call(sampling, task), given, timeout=timeout)
        return _value(task, (await asyncio.wrap_future(future)).response)

    def _one_sync(self, task: str, given: Any, sampling: Mapping[str, Any], timeout: float | None) -> Any:
        return _value(task, waited(self._submit(self._call(sampling, task), given, timeout=timeout)).response)

    async def _values(
        self,
        task: str,
        given: Any,
        errors: Errors,
        progress: bool,
        sampling: Mapping[str, Any],
        timeout: float | None,
    ) -> Any:
        keep = kept(errors)
        require_column(given, "inputs")
        if _is_one(task, given):
            return await self._one(task, given, sampling, timeout)
        batch = self._batch(self._call(sampling, task), given, progress, timeout=timeout)
        return _each(task, await batched(batch, given, keep_errors=keep))

    def _values_sync(
        self,
        task: str,
        given: Any,
        errors: Errors,
        progress: bool,
        sampling: Mapping[str, Any],
        timeout: float | None,
    ) -> Any:
        keep = kept(errors)
        require_column(given, "inputs")
        if _is_one(task, given):
            return self._one_sync(task, given, sampling, timeout)
        batch = self._batch(self._call(sampling, task), given, progress, timeout=timeout)
        return _each(task, batch.run(given, keep_errors=keep))


def _is_one(task: str, given: Any) -> bool:
    """Tell one input from many: a pair is a list that begins with text, a conversation one with a message."""
    if isinstance(given, str) or is_single(given) or not isinstance(given, Iterable):
        return True
    if isinstance(given, Mapping) or not isinstance(given, Sized):
        return False
    first = converted(next(iter(given), None))
    return isinstance(first, {"score": str, "reward": Mapping}.get(task, ()))


def _each(task: str, results: Sequence[Response | AskError]) -> list[Any]:
    return [_value(task, one) if isinstance(one, Response) else one for one in results]


def _value(task: str, response: Response) -> Any:
    """Return an answer as a line of results.jsonl holds it, and a vector whole."""
    return floats(response.embeddings[0]) if task == "embed" else value_of(task, response)
