"""Endpoints in vLLM's documented forms, for tasks that are answered with numbers."""

from __future__ import annotations

import json
from typing import Any

from tests.http_server import Behaviour, Exchange
from tests.work.embedding_server import Embeddings


async def _say(exchange: Exchange, **answer: Any) -> None:
    await exchange.answer(json.dumps(answer).encode())


async def score(exchange: Exchange) -> None:
    """Score a pair by the length of its second text."""
    await _say(exchange, data=[{"index": 0, "score": len(exchange.request.json()["text_2"]) / 4}])


async def rerank(exchange: Exchange) -> None:
    """Score documents by their length, the best first."""
    documents = exchange.request.json()["documents"]
    scores = [{"index": i, "relevance_score": len(text) / 4} for i, text in enumerate(documents)]
    await _say(exchange, results=sorted(scores, key=lambda one: -one["relevance_score"]))


async def classify(exchange: Exchange) -> None:
    """Tell short texts from long ones."""
    far = len(exchange.request.json()["input"]) > 4
    probs = [1.0 - far, float(far)]
    await _say(exchange, data=[{"index": 0, "label": ("short", "long")[far], "probs": probs}])


async def pooling(exchange: Exchange) -> None:
    """Reward a text by its length, a conversation by that of its last message."""
    body = exchange.request.json()
    text = body["input"] if "input" in body else body["messages"][-1]["content"]
    await _say(exchange, data=[{"index": 0, "data": [len(text) / 4]}])


async def complete(exchange: Exchange) -> None:
    """Tell the log probabilities of a prompt with a token a character, each of -1."""
    body = exchange.request.json()
    ids = [ord(one) if isinstance(one, str) else one for one in body["prompt"]]
    told = [None, *({str(token): {"logprob": -1.0, "rank": 1}} for token in ids[1:])]
    choice = {"index": 0, "text": "x", "finish_reason": "length", "token_ids": [1], "prompt_token_ids": ids}
    await _say(exchange, choices=[{**choice, "prompt_logprobs": told if "prompt_logprobs" in body else None}])


def endpoints() -> dict[str, Behaviour]:
    """Return all of them by path."""
    return {
        "/v1/embeddings": Embeddings(),
        "/v1/score": score,
        "/v1/rerank": rerank,
        "/classify": classify,
        "/pooling": pooling,
        "/v1/completions": complete,
    }
