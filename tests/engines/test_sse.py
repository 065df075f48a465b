"""Server-sent events are read by their grammar."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.errors import AskError, MalformedResponseError, ServerError
from tests.engines.stream_cuts import TEXT, data_of, streams

JSON = st.recursive(
    st.integers() | TEXT, lambda inner: st.dictionaries(TEXT, inner, max_size=3), max_leaves=4
)
BODIES = st.lists(st.fixed_dictionaries({"value": JSON}), min_size=1, max_size=4)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_events_are_the_same_however_a_stream_is_written_and_cut(data: st.DataObject) -> None:
    """Line ends, lines of data, comments, a byte order mark and the network's chunks make no difference."""
    bodies = data.draw(BODIES)

    found = data_of(data.draw(streams(bodies)))

    assert [json.loads(one) for one in found[:-1]] == bodies
    assert found[-1] == b"[DONE]"


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b"data: 1\n\ndata: 2\n\n", [b"1", b"2"]),
        (b"data: 1\r\rdata: 2\r\r", [b"1", b"2"]),
        (b"data: a\r\n\ndata: b\n\n", [b"a", b"b"]),
        (b"data: [1,\ndata: 2]\n\n", [b"[1,\n2]"]),
        (b"data: 1\ndata: 2\ndata: [DONE]\n", [b"1", b"2", b"[DONE]"]),
        (b"data\n\ndata:\n\ndata: null\n\ndata: 1\n\n", [b"1"]),
        (b"event: message\nid: 7\nretry: 10\ndata: 1\n\n", [b"1"]),
        (b"\xef\xbb\xbfdata: 1\n\n", [b"1"]),
        (b"data: 1\n\ndata: [DONE]\n\ndata: 2\n\n", [b"1", b"[DONE]"]),
        (b"data: 1\n\ndata: [DONE]", [b"1", b"[DONE]"]),
        (b'data: 1\n\ndata: {"a', [b"1"]),
        (b": only\n\ndata:\n\n", []),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 1000])
def test_stream_has_these_events(stream: bytes, expected: list[bytes], size: int) -> None:
    """Whichever way its bytes arrive."""
    assert data_of([stream[at : at + size] for at in range(0, len(stream), size)]) == expected


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        (b'event: error\ndata: {"message": "gone"}\n\n', "gone"),
        (b'event:error\r\ndata:{"message":\r\ndata: "gone"}\r\n\r\n', "gone"),
        (b"event: error\ndata: gone", "gone"),
        (b"event: error\n\ndata: 1\n\n", "without a reason"),
        (b"error: gone\n", "gone"),
        (b'error: {"message": "gone"}', "gone"),
    ],
)
def test_event_or_field_named_error_is_one(stream: bytes, message: str) -> None:
    """Its data is the server's message, as JSON or as it is."""
    with pytest.raises(ServerError, match=message):
        data_of([stream])


@pytest.mark.parametrize("stream", [b"", b"<html>gone</html>", b'{"choices": []}', b": comment\n\n"])
def test_what_holds_no_event_is_malformed(stream: bytes) -> None:
    """Its beginning is told."""
    with pytest.raises(MalformedResponseError):
        data_of([stream])


@pytest.mark.parametrize("body", [{"error": {"message": "gone"}}, [{"error": {"message": "gone"}}]])
def test_error_in_place_of_events_is_the_servers(body: Any) -> None:
    """Google sends a list where it was to stream."""
    with pytest.raises(AskError, match="gone"):
        data_of([json.dumps(body, indent=1).encode()])
