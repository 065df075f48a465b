"""An embeddings endpoint in OpenAI's documented form, whose vectors tell their text apart."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from collections import Counter
from collections.abc import Callable, Collection
from typing import Any

from tests.http_server import Exchange

DIMENSION = 8


def vector(text: str) -> bytes:
    """Return the vector of a text: float32, little-endian, of values that no short decimal is equal to."""
    digest = hashlib.sha256(text.encode()).digest()
    return struct.pack(f"<{DIMENSION}f", *(1 / (3 + number) for number in digest[:DIMENSION]))


class Embeddings:
    """Answers /embeddings, and counts every input it was sent and every request.

    Args:
        refuse: tells of an input the status and message it is refused with, or None.
        short: inputs whose vectors lack the last number.
        as_list: answer with numbers, as servers do that don't know ``encoding_format``.
    """

    def __init__(
        self,
        refuse: Callable[[str], tuple[int, str] | None] = lambda _: None,
        *,
        short: Collection[str] = (),
        as_list: bool = False,
    ) -> None:
        self.asked: Counter[str] = Counter()
        self.batches: list[int] = []
        self.bodies: list[dict[str, Any]] = []
        self._refuse = refuse
        self._short = short
        self._as_list = as_list

    async def __call__(self, exchange: Exchange) -> None:
        body = exchange.request.json()
        texts = body["input"]
        self.asked.update(texts)
        self.batches.append(len(texts))
        self.bodies.append(body)
        for refusal in filter(None, map(self._refuse, texts)):
            status, message = refusal
            await exchange.answer(json.dumps({"error": {"message": message}}).encode(), status)
            return
        data = [
            {"object": "embedding", "index": index, "embedding": self._shown(text)}
            for index, text in enumerate(texts)
        ]
        usage = {"prompt_tokens": sum(map(len, texts)), "total_tokens": sum(map(len, texts))}
        # In no order: the index tells which is which.
        answer = {"object": "list", "data": data[::-1], "model": "m", "usage": usage}
        await exchange.answer(json.dumps(answer).encode())

    def _shown(self, text: str) -> Any:
        shown = vector(text)[: -4 if text in self._short else None]
        if self._as_list:
            return list(struct.unpack(f"<{len(shown) // 4}f", shown))
        return base64.b64encode(shown).decode()
