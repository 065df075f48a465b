"""Puts an answer that came in pieces together again, as the OpenAI API streams it, and times it."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from runner.engines.openai_wire import parse_any
from runner.values import Timing

_WHOLE = ("usage", "system_fingerprint", "prompt_token_ids", "prompt_logprobs")
"""Fields of an event that stand for themselves."""


class Pieces:
    """The pieces of one answer; `add` them in order, then read `answer`."""

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self._texts: list[float] = []
        self._fields: dict[str, Any] = {}
        self._choices: dict[int, dict[str, Any]] = {}

    def add(self, event: bytes) -> None:
        """Add one event.

        Raises:
            MalformedResponseError: it is no JSON object.
        """
        data = parse_any(event)
        self._fields |= {name: data[name] for name in _WHOLE if data.get(name) is not None}
        for piece in data.get("choices") or ():
            choice = self._choices.setdefault(piece.get("index") or 0, {})
            delta = piece.get("delta") or {}
            if piece.get("text") or any(delta.get(name) for name in _SPOKEN):
                self._texts.append(time.perf_counter())
            _merge(choice, {name: value for name, value in piece.items() if name not in {"index", "delta"}})
            if "delta" in piece:
                _merge(choice.setdefault("message", {}), delta)

    def answer(self) -> bytes:
        """Return the body of the answer as it would have come in one piece."""
        choices = [{"index": index, **choice} for index, choice in sorted(self._choices.items())]
        return msgspec.json.encode({**self._fields, "choices": choices})

    def timing(self) -> Timing:
        """Return how long the answer took, and its pieces."""
        seconds = time.perf_counter() - self._start
        if not self._texts:
            return Timing(seconds)
        first, last = self._texts[0], self._texts[-1]
        gaps = len(self._texts) - 1
        return Timing(
            seconds,
            first_token=first - self._start,
            inter_token=(last - first) / gaps if gaps else None,
        )


_SPOKEN = ("content", "reasoning_content", "reasoning", "tool_calls")
"""Parts of a delta that are the model's own."""


def _merge(whole: dict[str, Any], piece: dict[str, Any]) -> None:
    """Add a piece: texts and lists grow, maps are merged, the calls of tools go by their index."""
    for name, value in piece.items():
        known = whole.get(name)
        if value is None or known is None:
            whole[name] = known if value is None else _fresh(name, value)
        elif name == "tool_calls":
            _merge_calls(known, value)
        elif isinstance(value, dict):
            _merge(known, value)
        elif isinstance(value, str) and name in _GROWING:
            whole[name] = known + value
        elif isinstance(value, list):
            known.extend(value)
        else:
            whole[name] = value


_GROWING = frozenset({"content", "reasoning_content", "reasoning", "refusal", "text", "arguments"})


def _fresh(name: str, value: Any) -> Any:
    if name != "tool_calls":
        return value
    calls: list[Any] = []
    _merge_calls(calls, value)
    return calls


def _merge_calls(known: list[Any], pieces: list[Any]) -> None:
    for piece in pieces:
        index = piece.get("index") or 0
        while len(known) <= index:
            known.append({})
        _merge(known[index], {name: value for name, value in piece.items() if name != "index"})
