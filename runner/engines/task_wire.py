"""Tasks that are answered with numbers, over HTTP: where each is asked, and what is sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runner.engines.lenient import Reading
from runner.engines.task_answers import (
    fields_of,
    read_classes,
    read_listed,
    read_native_reward,
    read_pooling,
    read_ranking,
    read_score,
    read_vectors,
)
from runner.values import Request, Response


@dataclass(frozen=True, slots=True)
class Wire:
    """How one task is asked of one kind of server.

    Attributes:
        route: behind the address; one that starts with two slashes replaces the address's /v1.
        body: what is sent for requests that share everything but their input, without the model's name.
        read: what the answer says of each of them; raises `MalformedResponseError`.
        batched: whether several may share a request.
    """

    route: str
    body: Callable[[Sequence[Request]], dict[str, Any]]
    read: Callable[[bytes, Sequence[Request], Reading], list[Response]]
    batched: bool = False

    def url(self, base_url: str) -> str:
        """Return where to ask."""
        if self.route.startswith("//"):
            return base_url.removesuffix("/v1") + self.route[1:]
        return base_url + self.route


def _with_passthrough(request: Request, fields: dict[str, Any]) -> dict[str, Any]:
    return fields | (request.sampling.get("passthrough") or {})


def _embed_body(requests: Sequence[Request]) -> dict[str, Any]:
    texts = [request.input for request in requests]
    return _with_passthrough(requests[0], {"input": texts, "encoding_format": "base64"})


def _score_body(requests: Sequence[Request]) -> dict[str, Any]:
    first, second = fields_of(requests[0])["pair"]
    return _with_passthrough(requests[0], {"text_1": first, "text_2": second})


def _rerank_body(requests: Sequence[Request]) -> dict[str, Any]:
    return _with_passthrough(requests[0], dict(fields_of(requests[0])))


def _pair_body(requests: Sequence[Request]) -> dict[str, Any]:
    query, document = fields_of(requests[0])["pair"]
    return _with_passthrough(requests[0], {"query": query, "documents": [document]})


def _classify_body(requests: Sequence[Request]) -> dict[str, Any]:
    return _with_passthrough(requests[0], {"input": requests[0].input})


def _reward_body(requests: Sequence[Request]) -> dict[str, Any]:
    name = "input" if isinstance(requests[0].input, str) else "messages"
    return _with_passthrough(requests[0], {name: requests[0].input})


def _native_reward_body(requests: Sequence[Request]) -> dict[str, Any]:
    return _with_passthrough(requests[0], {"text": requests[0].input})


EMBED = Wire("/embeddings", _embed_body, read_vectors, batched=True)
RERANK = Wire("/rerank", _rerank_body, read_ranking)

OPENAI_WIRES: Mapping[str, Wire] = {
    "embed": EMBED,
    "score": Wire("/score", _score_body, read_score),
    "rerank": RERANK,
}
"""What servers in OpenAI's form share: /embeddings is OpenAI's, /rerank Jina's and Cohere's, /score vLLM's
own."""

VLLM_WIRES: Mapping[str, Wire] = {
    **OPENAI_WIRES,
    "classify": Wire("//classify", _classify_body, read_classes),
    "reward": Wire("//pooling", _reward_body, read_pooling),
}

SGLANG_WIRES: Mapping[str, Wire] = {
    "embed": EMBED,
    "score": Wire("/rerank", _pair_body, read_listed),
    "rerank": Wire("/rerank", _rerank_body, read_listed),
    "classify": Wire("/classify", _classify_body, read_classes),
    "reward": Wire("//classify", _native_reward_body, read_native_reward),
}
"""SGLang's own /score compares tokens of a generating model; a pair is scored as a ranking of one."""
