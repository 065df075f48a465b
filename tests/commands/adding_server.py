"""A server that adds two numbers as the tiny model does, with log probabilities or without, under a name."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from tests.http_server import Exchange


class Adding:
    """Answers ``a+b`` with the sum, but for the questions that are told otherwise.

    Attributes:
        asked: how often each question was asked, with whether log probabilities were asked for.
    """

    def __init__(self, name: str, wrong: dict[str, str] | None = None, *, tells: bool = True) -> None:
        self.asked: Counter[tuple[str, bool]] = Counter()
        self._name = name
        self._wrong = wrong or {}
        self._tells = tells

    async def __call__(self, exchange: Exchange) -> None:
        body = exchange.request.json()
        if body["model"] != self._name:
            said = f"The model `{body['model']}` does not exist."
            await exchange.answer(json.dumps({"error": {"message": said}}).encode(), 404)
            return
        question = body["messages"][-1]["content"]
        self.asked[question, bool(body.get("logprobs"))] += 1
        answer = self._wrong.get(question) or str(sum(map(int, question.split("+"))))
        message = {"role": "assistant", "content": answer}
        told = _logprobs(answer) if self._tells and body.get("logprobs") else None
        choice = {"index": 0, "message": message, "logprobs": told, "finish_reason": "stop"}
        await exchange.answer(json.dumps({"choices": [choice]}).encode())


def _logprobs(answer: str) -> dict[str, Any]:
    """Return a token a character, with the one that would have stood there next best."""
    tops = [[{"token": t, "logprob": p} for t, p in ((c, -0.25), (_next(c), -1.5))] for c in answer]
    return {"content": [{**top[0], "top_logprobs": top} for top in tops]}


def _next(digit: str) -> str:
    return str((int(digit) + 1) % 10)
