"""Keeps an answer to a JSON Schema, a regular expression or a list of choices, token by token."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property, lru_cache
from importlib.util import find_spec
from typing import Any

import msgspec

from runner.engines.constraints import choice_regex, constraint_of
from runner.errors import BadRequestError, EngineError
from runner.values import Request, canonical_json

_REMEMBERED = 256


class Grammars:
    """Makes matchers, which say what tokens may come next; equal constraints share one, to be copied."""

    def __init__(self, tokenizer: Any, vocabulary: int, ends: Iterable[int]) -> None:
        self._tokenizer = tokenizer
        self._vocabulary = vocabulary
        self._ends = sorted(ends)
        self._compiled = lru_cache(maxsize=_REMEMBERED)(self._compile)

    def matcher(self, request: Request) -> Any:
        """Return a matcher to be copied, or None for a request whose answer is free.

        Raises:
            BadRequestError: the constraint isn't one that an answer can be kept to.
            EngineError: the library for it is missing, or can't read the tokenizer.
        """
        constraint = constraint_of(request)
        if constraint is None:
            return None
        name, value = constraint
        return self._compiled(name, canonical_json(value))

    def _compile(self, name: str, value: bytes) -> Any:
        tokens = self._tokens
        from llguidance import LLMatcher

        decoded = msgspec.json.decode(value)
        if name == "json_schema":
            grammar = LLMatcher.grammar_from_json_schema(value.decode())
        else:
            pattern = choice_regex(decoded) if name == "choice" else decoded
            grammar = LLMatcher.grammar_from_regex(pattern)
        matcher = LLMatcher(tokens, grammar)
        if matcher.is_error():
            line = str(matcher.get_error()).partition("\n")[0]
            raise BadRequestError(f"the answer can't be kept to {name}: {line}")
        return matcher

    @cached_property
    def _tokens(self) -> Any:
        if find_spec("llguidance") is None:
            raise EngineError("constraints need llguidance, which is not installed: pip install llguidance")
        if not self._tokenizer.is_fast:
            raise EngineError("constraints need a tokenizer with a tokenizer.json, which this model lacks")
        from llguidance.hf import from_tokenizer

        return from_tokenizer(self._tokenizer, n_vocab=self._vocabulary, eos_token=self._ends or None)
