"""The pieces of one choice of an answer in OpenAI's form, put together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from runner.engines.lenient import text_in
from runner.engines.provider_wire import malformed
from runner.engines.tool_pieces import ToolCalls

_SPOKEN = ("content", "reasoning_content", "reasoning")
"""Parts of a delta that are the model's own text."""
_TEXTS = (*_SPOKEN, "refusal")
_LISTS = ("token_ids", "response_token_ids", "prompt_token_ids", "prompt_logprobs")
_STOPS = ("stop_reason", "matched_stop")
_CLASH = "pieces of different forms"
"""Stands where pieces don't fit together; whoever asked for the field finds it unreadable."""


def delta_of(piece: dict[str, Any], *, begun: bool) -> dict[str, Any] | None:
    """Return what a piece adds to the message.

    Some servers send the whole message again at the end: that adds nothing to a choice that has *begun*.

    Raises:
        MalformedResponseError: it is not an object.
    """
    delta = piece.get("delta")
    if not delta:
        message = piece.get("message")
        delta = None if delta is None else {}
        if message:
            delta = {} if begun else message
    if delta is not None and not isinstance(delta, dict):
        raise malformed(f"delta is {delta!r}, expected an object")
    return delta


def text_of(value: Any, name: str) -> str:
    """Return the text of a field of a delta, without thoughts among its parts.

    Raises:
        MalformedResponseError: it is content that is no text.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(one if isinstance(one, str) else _part_text(one) or "" for one in value)
    text = _part_text(value)
    if text is None and value and name in {"content", "text"}:
        raise malformed(f"{name} is {value!r}, expected text")
    return text or ""


def _part_text(part: Any) -> str | None:
    text = part.get("text") if isinstance(part, dict) else None
    return text if isinstance(text, str) else None


@dataclass(slots=True)
class ChoicePieces:
    """What is known of one choice; `add` its pieces in order, then read `whole`."""

    _fields: dict[str, Any] = field(default_factory=dict)
    _texts: dict[str, list[Any]] = field(default_factory=dict)
    _is_chat: bool = False
    _calls: ToolCalls = field(default_factory=ToolCalls)

    @property
    def begun(self) -> bool:
        """Whether any of the message has come."""
        return bool(self._texts or self._calls.found)

    @property
    def thoughts(self) -> str:
        """The field that its reasoning comes in: some servers send it under both names."""
        return next((name for name in self._texts if name in _SPOKEN[1:]), _SPOKEN[1])

    def add(self, piece: dict[str, Any]) -> bool:
        """Add a piece and tell whether the model speaks in it."""
        delta = delta_of(piece, begun=self.begun)
        text = piece.get("text")
        if text is not None:
            self._texts.setdefault("text", []).append(text)
        if reason := piece.get("finish_reason"):
            self._fields["finish_reason"] = reason
            self._fields |= {name: why for name in _STOPS if (why := piece.get(name)) is not None}
        logprobs = piece.get("logprobs")
        if logprobs or _is_number(logprobs):
            self._add_logprobs(logprobs, piece, delta)
        for name in _LISTS:
            if value := piece.get(name):
                self._fields[name] = _grown(self._fields.get(name), value)
        if delta is None:
            return bool(text)
        return self._hear(delta) or bool(text)

    def _hear(self, delta: dict[str, Any]) -> bool:
        self._is_chat = True
        spoken = False
        for name in _TEXTS:
            if value := delta.get(name):
                if not isinstance(value, str):
                    text_of(value, name)
                self._texts.setdefault(name, []).append(value)
                spoken |= name in _SPOKEN
        return self._calls.add(delta.get("tool_calls")) or spoken

    def _add_logprobs(self, logprobs: Any, piece: dict[str, Any], delta: dict[str, Any] | None) -> None:
        if _is_number(logprobs):
            # Together's: that of the piece's one token, where its whole answers have lists.
            token = piece.get("text") or (delta or {}).get("content") or ""
            logprobs = {"tokens": [token], "token_logprobs": [logprobs]}
        known = self._fields.get("logprobs")
        if known is None:
            self._fields["logprobs"] = logprobs
        elif isinstance(known, dict) and isinstance(logprobs, dict):
            for name, value in logprobs.items():
                if value is not None:
                    known[name] = _grown(known.get(name), value)
        else:
            self._fields["logprobs"] = _CLASH

    def new_calls(self) -> tuple[dict[str, Any], ...]:
        """Return what of calls has come since this was called last; see `ToolCalls.news`."""
        return self._calls.news()

    def whole(self, index: int) -> dict[str, Any]:
        """Return the choice as if it had come in one piece."""
        texts = {name: _joined(name, pieces) for name, pieces in self._texts.items()}
        if not self._is_chat:
            return {**self._fields, **texts, "index": index}
        return {**self._fields, "index": index, "message": {**texts, "tool_calls": self._calls.whole()}}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _grown(known: Any, value: Any) -> Any:
    """Return lists as one; of anything else the last, and none where the form changes."""
    if known is None or (isinstance(known, list) and not known):
        return value
    if isinstance(known, list):
        return known + value if isinstance(value, list) else _CLASH
    return _CLASH if isinstance(value, list) else value


def _joined(name: str, pieces: list[Any]) -> Any:
    """Return the pieces of a text as one: a text, or a list of parts where some came as these."""
    if all(isinstance(piece, str) for piece in pieces):
        return "".join(pieces)
    if name != "content":
        return "".join(text_in(piece) or "" for piece in pieces)
    parts: list[Any] = []
    for piece in pieces:
        if isinstance(piece, list):
            parts += piece
        else:
            parts.append(piece if isinstance(piece, dict) else {"text": piece})
    return parts
