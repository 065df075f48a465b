"""Counts the tokens of a prompt before it is sent: exactly where the tokenizer lies at hand, else about."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import msgspec

from runner.files import is_file
from runner.spec import Model
from runner.values import Request

_BYTES_PER_TOKEN = 4
"""Of English text, about; what `about` figures stand on."""
_REMEMBERED = 10_000


class TokenCounter(msgspec.Struct, frozen=True):
    """Counts tokens; the chat template's own don't count.

    Attributes:
        exact: the model's own tokenizer counts, not a rule of thumb.
    """

    count: Callable[[Request], int]
    exact: bool


def token_counter(model: Model) -> TokenCounter:
    """Return the counter for a model: its own tokenizer where that can be loaded, else 4 bytes a token."""
    file = Path(model.tokenizer or model.name) / "tokenizer.json"
    if not is_file(file) or find_spec("tokenizers") is None:
        return TokenCounter(lambda request: -(-_bytes(request) // _BYTES_PER_TOKEN), exact=False)
    import tokenizers

    encode = tokenizers.Tokenizer.from_file(str(file)).encode

    @lru_cache(_REMEMBERED)
    def length(text: str) -> int:
        return len(encode(text, add_special_tokens=False).ids)

    return TokenCounter(lambda request: sum(length(text) for text in _texts(request)), exact=True)


def _bytes(request: Request) -> int:
    return sum(len(text.encode()) for text in _texts(request))


def _texts(request: Request) -> list[str]:
    """Return the texts of a request; pictures and the like don't count."""
    if isinstance(request.input, str):
        return [request.input]
    if isinstance(request.input, dict):
        fields = request.input.values()
        return [text for field in fields for text in ([field] if isinstance(field, str) else field)]
    texts: list[str] = []
    for message in request.messages:
        content = message.get("content") or ""
        texts += [content] if isinstance(content, str) else [part.get("text") or "" for part in content]
    return texts
