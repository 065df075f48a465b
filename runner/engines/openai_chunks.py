"""What one event of a stream in OpenAI's form adds to a choice."""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec

from runner.engines.openai_pieces import ChoicePieces, delta_of
from runner.engines.openai_wire import read_chat, read_text
from runner.values import Timing, TokenLogprob

_OWN = ("text", "logprobs", "token_ids", "response_token_ids")


Said: TypeAlias = tuple[str, tuple[int, ...] | None, tuple[TokenLogprob, ...] | None, str | None]
"""The first fields of a `Chunk`: text, token ids, log probabilities, reasoning."""


def said_in(piece: dict[str, Any], task: str, choice: ChoicePieces, *, begun: bool) -> Said:
    """Return what a piece adds to the choice that it is of, but for calls.

    It is read as a whole answer is, by the same code. A refusal counts as text only where there is no other,
    which the end tells.

    Args:
        piece: an element of an event's ``choices``.
        task: what was asked.
        choice: the pieces so far, this one included.
        begun: whether any of the choice's message came before it.

    Raises:
        MalformedResponseError: it is not what the API documents.
    """
    delta = delta_of(piece, begun=begun) or {}
    kept: dict[str, Any] = {
        name: piece[name] for name in _OWN if piece.get(name) or _is_zero(piece.get(name))
    }
    said = {name: delta[name] for name in ("content", choice.thoughts) if delta.get(name)}
    if not (kept or said):
        return "", None, None, None
    alone = ChoicePieces()
    alone.add({**kept, "delta": said} if task == "chat" else {"text": "", **kept})
    whole = alone.whole(0)
    read = read_chat if task == "chat" else read_text
    found = read(msgspec.json.encode({"choices": [whole]}), "", Timing()).choices[0]
    return found.text, found.token_ids, found.logprobs, found.reasoning


def _is_zero(value: Any) -> bool:
    """Tell whether a value is a log probability of 0, which Together's pieces may have."""
    return isinstance(value, int | float) and not isinstance(value, bool)
