"""Answers that are numbers: what results.jsonl holds of them, and what scorers see."""

from __future__ import annotations

import msgspec

from runner.values import Json, Response, canonical_json

_FLOAT_BYTES = 4


def value_of(task: str, response: Response) -> Json:
    """Return the value of an answer, as results.jsonl holds it; of vectors only how long they are."""
    if task == "embed":
        return {"dimension": len(response.embeddings[0]) // _FLOAT_BYTES}
    if task == "rerank":
        return list(response.scores)
    if task == "classify":
        return {"label": response.label, "probs": list(response.probs)}
    if task == "loglikelihood":
        return msgspec.to_builtins(list(response.loglikelihoods))
    return response.scores[0]


def spoken(value: Json) -> str:
    """Return a value as the text that scorers see: the label of a class (else its number), else JSON."""
    if isinstance(value, dict) and "probs" in value:
        probs = value["probs"]
        return value["label"] if value["label"] is not None else str(probs.index(max(probs)))
    return canonical_json(value).decode()
