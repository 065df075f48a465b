"""How responses are stored: JSON, or with vectors a blob."""

from __future__ import annotations

import struct

import pytest

from runner.values import (
    Choice,
    Loglikelihood,
    Response,
    Usage,
    decode_response,
    encode_response,
    response_json,
    response_stored,
)

VECTORS = (struct.pack("<3f", 0.1, -2.5, float("inf")), struct.pack("<2f", 1e-40, 3.0))


@pytest.mark.parametrize(
    "response",
    [
        Response(choices=(Choice("hi", "stop"),), usage=Usage(3, 1)),
        Response(embeddings=VECTORS, usage=Usage(7), engine="vllm"),
        Response(label="a", probs=(0.25, 0.75)),
        Response(loglikelihoods=(Loglikelihood(-1.5, 2, greedy=True),)),
    ],
)
def test_a_response_survives_storage_and_logs(response: Response) -> None:
    """What is decoded is what was encoded, bit for bit, through a log's JSON too."""
    data = encode_response(response)

    assert decode_response(data) == response
    assert response_stored(response_json(data)) == data


def test_vectors_are_stored_as_their_own_bytes() -> None:
    """A blob of two vectors is a short header and the vectors."""
    data = encode_response(Response(embeddings=VECTORS))

    assert data.endswith(VECTORS[0] + VECTORS[1])
    assert len(data) < 100 + sum(map(len, VECTORS))
