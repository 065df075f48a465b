"""How many tokens an answer took, as servers report it: what is no count is unknown."""

from __future__ import annotations

import json
from typing import Any

import pytest

from runner.values import Response, Usage, decode_response, encode_response
from tests.engines.answer_kit import ask
from tests.engines.scripted_server import Reply, chat


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (None, (None, None, 0, 0)),
        ({}, (None, None, 0, 0)),
        ([], (None, None, 0, 0)),
        ("n/a", (None, None, 0, 0)),
        ({"prompt_tokens": 0, "completion_tokens": 0}, (0, 0, 0, 0)),
        ({"prompt_tokens": "11", "completion_tokens": 2.0}, (11, 2, 0, 0)),
        ({"prompt_tokens": -1, "completion_tokens": 2**64 - 1}, (None, None, 0, 0)),
        ({"prompt_tokens": True, "completion_tokens": None}, (None, None, 0, 0)),
        ({"prompt_tokens": 1.5, "completion_tokens": 2, "total_tokens": "?"}, (None, 2, 0, 0)),
        ({"prompt_tokens": 3, "completion_tokens": {}}, (3, None, 0, 0)),
        (
            {"prompt_tokens": 3, "prompt_tokens_details": {"cached_tokens": 0.5}, "completion_tokens": 2},
            (3, 2, None, 0),
        ),
        (
            {
                "prompt_tokens": 3,
                "completion_tokens": 2,
                "completion_tokens_details": {"reasoning_tokens": "x"},
            },
            (3, 2, 0, None),
        ),
        ({"prompt_tokens": 3, "completion_tokens": 2, "completion_tokens_details": 7}, (3, 2, 0, 0)),
    ],
)
def test_count_that_is_none_is_unknown(usage: Any, expected: tuple[int | None, ...]) -> None:
    """It is never taken for 0."""
    for reply, stream in ((Reply({**chat("42"), "usage": usage}), False), (streamed_usage(usage), True)):
        found = ask(reply, stream=stream)[0].usage
        assert expected == (
            found.prompt_tokens,
            found.completion_tokens,
            found.cached_tokens,
            found.reasoning_tokens,
        )


def streamed_usage(usage: Any) -> Reply:
    """Return a stream that ends with a usage."""
    said = b'data: {"choices":[{"delta":{"content":"42"},"finish_reason":"stop"}]}\n\n'
    return Reply(said + b'data: {"choices":[],"usage":%s}\n\ndata: [DONE]\n\n' % json.dumps(usage).encode())


@pytest.mark.parametrize("usage", [Usage(), Usage(0, 0), Usage(3, 2, 1, 1), Usage(None, 2, None, None)])
def test_unknown_count_survives_storage(usage: Usage) -> None:
    """And so does a count of 0."""
    assert decode_response(encode_response(Response(usage=usage))).usage == usage


def test_answer_of_an_older_cache_is_read() -> None:
    """There a count of 0 was left out, so that it may be unknown."""
    stored = b'{"choices":[{"text":"42"}],"usage":{"completion_tokens":2}}'

    assert decode_response(stored).usage == Usage(None, 2)
