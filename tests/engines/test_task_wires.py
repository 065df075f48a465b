"""Tasks that are answered with numbers, over HTTP, in the forms that the servers document."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from runner.engines.registry import engine_kinds
from runner.errors import IncompleteResponseError, MalformedResponseError, RateLimitError, RowError
from runner.spec import Model
from runner.values import Input, Loglikelihood, Request, Response, Scope
from tests.engines.asking_engines import ask
from tests.engines.scripted_server import Reply, Sent, serving

USAGE = {"prompt_tokens": 9, "total_tokens": 9}


def request(task: str, given: Input, **sampling: Any) -> Request:
    """Return a request of a task."""
    return Request(task, given, sampling, Scope({}, {}))


def answered(kind: str, one: Request, *bodies: Any) -> tuple[Response, list[Sent]]:
    """Ask an engine whose server answers with *bodies*; return the response and what was sent."""

    async def conversation() -> tuple[Response, list[Sent]]:
        async with serving(*(Reply(body) for body in bodies)) as server:
            return await ask(kind, one, base_url=server.url), server.sent

    return asyncio.run(conversation())


def test_vllm_scores_a_pair() -> None:
    """A pair goes to /v1/score as text_1 and text_2."""
    body = {"object": "list", "data": [{"index": 0, "object": "score", "score": 0.75}], "usage": USAGE}

    response, sent = answered("vllm", request("score", {"pair": ["a", "b"]}), body)

    assert (response.scores, response.usage.prompt_tokens) == ((0.75,), 9)
    assert (sent[0].path, sent[0].body) == ("/v1/score", {"model": "m", "text_1": "a", "text_2": "b"})


@pytest.mark.parametrize("kind", ["vllm", "openai_compatible"])
def test_a_ranking_is_told_in_the_documents_order(kind: str) -> None:
    """Servers sort by score; the response keeps the documents' order."""
    results = [{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.1}]
    given: Input = {"query": "q", "documents": ["a", "b"]}

    response, sent = answered(kind, request("rerank", given), {"results": results, "usage": USAGE})

    assert response.scores == (0.1, 0.9)
    assert sent[0].body == {"model": "m", "query": "q", "documents": ["a", "b"]}


def test_a_ranking_that_lacks_a_document_is_incomplete() -> None:
    """A server that keeps the best few, as top_n asks, is no answer to all documents."""
    given: Input = {"query": "q", "documents": ["a", "b"]}

    with pytest.raises(IncompleteResponseError, match="2 documents, the answer has scores of 1"):
        answered("vllm", request("rerank", given), {"results": [{"index": 1, "relevance_score": 0.9}]})


def test_sglang_ranks_and_scores_in_a_list() -> None:
    """SGLang answers /v1/rerank with a list; a pair is a ranking of one document."""
    body = [{"score": 0.25, "document": "b", "index": 0}]

    response, sent = answered("sglang", request("score", {"pair": ["a", "b"]}), body)

    assert response.scores == (0.25,)
    assert (sent[0].path, sent[0].body["documents"]) == ("/v1/rerank", ["b"])


@pytest.mark.parametrize(("kind", "path"), [("vllm", "/classify"), ("sglang", "/v1/classify")])
def test_classes_have_probabilities_and_a_label(kind: str, path: str) -> None:
    """Both servers answer /classify alike, vLLM without /v1."""
    body = {"data": [{"index": 0, "label": "spam", "probs": [0.2, 0.8], "num_classes": 2}], "usage": USAGE}

    response, sent = answered(kind, request("classify", "text"), body)

    assert (response.label, response.probs) == ("spam", (0.2, 0.8))
    assert (sent[0].path, sent[0].body) == (path, {"model": "m", "input": "text"})


@pytest.mark.parametrize("data", [[1.5], [[1.5]], [[0.5], [1.5]], 1.5])
def test_a_reward_is_one_number_whatever_its_nesting(data: Any) -> None:
    """A model that pools the last token gives one number, one that pools all gives the last token's."""
    conversation: Input = ({"role": "user", "content": "q"}, {"role": "assistant", "content": "a"})

    response, sent = answered("vllm", request("reward", conversation), {"data": [{"index": 0, "data": data}]})

    assert response.scores == (1.5,)
    assert (sent[0].path, sent[0].body["messages"]) == ("/pooling", list(conversation))


def test_a_vector_is_no_reward() -> None:
    """What an embedding model gives in place of a reward is refused."""
    with pytest.raises(IncompleteResponseError, match="is it a reward model"):
        answered("vllm", request("reward", "text"), {"data": [{"index": 0, "data": [0.5, 1.5]}]})


def test_passthrough_reaches_the_body() -> None:
    """What passthrough says is sent verbatim, such as the length of the vectors."""
    body = {"data": [{"index": 0, "embedding": [1.0, 2.0]}]}

    _, sent = answered("vllm", request("embed", "x", passthrough={"dimensions": 2}), body)

    assert sent[0].body == {"model": "m", "input": ["x"], "encoding_format": "base64", "dimensions": 2}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"data": []}, "1 input, the answer has 0 vectors"),
        ({"data": [{"embedding": ""}]}, "0 bytes"),
        ({"data": [{"embedding": "AAA="}]}, "2 bytes"),
        ({"data": [{"embedding": "?"}]}, "no base64"),
        ({"choices": []}, "not what the API documents"),
    ],
)
def test_what_is_no_vector_is_malformed(body: Any, said: str) -> None:
    """Too few vectors, cut ones, and other answers are malformed, to be asked again."""
    with pytest.raises(MalformedResponseError, match=said):
        answered("openai_compatible", request("embed", "x"), body)


def together(kind: str, requests: list[Request], *replies: Reply, **settings: Any) -> list[Any]:
    """Ask an engine several requests at once; return responses and errors."""

    async def conversation() -> list[Any]:
        async with serving(*replies) as server:
            described = engine_kinds()[kind]
            engine = described.create(
                described.settings(**{"base_url": server.url, **settings}), Model(name="m")
            )
            async with engine:
                return await asyncio.gather(*map(engine.generate, requests), return_exceptions=True)

    return asyncio.run(conversation())


def test_a_busy_server_fails_each_input_of_the_batch_for_itself() -> None:
    """Each gets an error of its own with the server's wait, so that each is asked again."""
    busy = Reply({"error": {"message": "slow down"}}, 429, {"Retry-After": "3"})

    errors = together("vllm", [request("embed", text) for text in "abc"], busy)

    assert [(type(error), error.retry_after) for error in errors] == [(RateLimitError, 3.0)] * 3
    assert len({id(error) for error in errors}) == 3


def test_a_batch_that_is_refused_is_asked_in_parts() -> None:
    """Of two inputs that are refused together, each hears its own verdict."""
    refusal = Reply({"error": {"message": "too long"}}, 400)
    good = Reply({"data": [{"index": 0, "embedding": [1.0]}]})

    first, second = together("vllm", [request("embed", text) for text in "ab"], refusal, good, refusal)

    assert len(first.embeddings) == 1
    assert isinstance(second, RowError)


def completion(ids: list[int], logprobs: list[dict[str, Any] | None] | None) -> Reply:
    """Return a completion that tells of its prompt, as vLLM does."""
    choice = {"text": "x", "index": 0, "finish_reason": "length", "token_ids": [0]}
    return Reply({
        "choices": [{**choice, "prompt_token_ids": ids, "prompt_logprobs": logprobs}],
        "usage": USAGE,
    })


def test_loglikelihood_sums_what_is_behind_the_context() -> None:
    """Tokens of the context don't count; greedy means that every token is the likeliest."""
    context = completion([1, 2], None)
    whole = completion(
        [1, 2, 3, 4],
        [
            None,
            {"2": {"logprob": -9.0, "rank": 5}},
            {"3": {"logprob": -0.5, "rank": 1}},
            {"4": {"logprob": -1.5, "rank": 2}, "7": {"logprob": -0.25, "rank": 1}},
        ],
    )
    given: Input = {"context": "a", "continuations": ["b"]}

    (response,) = together("vllm", [request("loglikelihood", given)], context, whole)

    assert response.loglikelihoods == (Loglikelihood(-2.0, 2, greedy=False),)


def generated(logprobs: list[float | None], likeliest: list[float | None]) -> dict[str, Any]:
    """Return what SGLang's /generate says of one prompt."""
    return {
        "text": "x",
        "meta_info": {
            "prompt_tokens": len(logprobs),
            "input_token_logprobs": [[logprob, 1, None] for logprob in logprobs],
            "input_top_logprobs": [None if top is None else [[top, 2, None]] for top in likeliest],
        },
    }


def test_sglang_tells_all_loglikelihoods_of_a_row_at_once() -> None:
    """One request to /generate holds the context alone, and with each continuation."""
    body = [
        generated([None, -9.0], [None, -0.1]),
        generated([None, -9.0, -0.5], [None, -0.1, -0.5]),
        generated([None, -9.0, -1.5, -0.5], [None, -0.1, -0.25, -0.5]),
    ]
    given: Input = {"context": "1+2=", "continuations": ["3", "13"]}

    response, (sent,) = answered("sglang", request("loglikelihood", given), body)

    assert response.loglikelihoods == (
        Loglikelihood(-0.5, 1, greedy=True),
        Loglikelihood(-2.0, 2, greedy=False),
    )
    assert response.usage.prompt_tokens == 9
    assert (sent.path, sent.body["text"]) == ("/generate", ["1+2=", "1+2=3", "1+2=13"])


def test_sglang_that_lacks_a_continuation_is_malformed() -> None:
    """An answer to fewer prompts than were sent is none."""
    given: Input = {"context": "1+2=", "continuations": ["3", "13"]}

    with pytest.raises(MalformedResponseError, match="1 continuation answered"):
        answered("sglang", request("loglikelihood", given), [generated([None, -1.0], [None, -1.0])] * 2)


@pytest.mark.parametrize("kind", ["vllm", "sglang"])
def test_loglikelihood_of_nothing_is_refused(kind: str) -> None:
    """A context of blanks has no token to stand on."""
    given: Input = {"context": " ", "continuations": ["b"]}

    with pytest.raises(RowError, match="one of them is empty"):
        answered(kind, request("loglikelihood", given), {})
