"""Calls of tools that come in pieces: which pieces belong together."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.engines.answer_kit import ask, event_stream, piece
from tests.engines.asking_engines import chat_request
from tests.engines.scripted_server import Reply

TOOLS = [{"type": "function", "function": {"name": name}} for name in ("f", "g")]
ONE, TWO = '{"a":1}', '{"b":2}'


def called(*calls: dict[str, Any]) -> dict[str, Any]:
    """Return a chunk that holds pieces of calls."""
    return piece(tool_calls=list(calls))


def call(
    id_: str | None = None, name: str | None = None, arguments: Any = None, **fields: Any
) -> dict[str, Any]:
    """Return a piece of a call, with what is given."""
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    return {**fields, **({"id": id_} if id_ is not None else {}), "function": function}


def found(*chunks: dict[str, Any]) -> list[tuple[str | None, str]]:
    """Return id and arguments of the calls that chunks make up."""
    response, _ = ask(event_stream(*chunks, piece("tool_calls")), chat_request(tools=TOOLS), stream=True)
    return [(one.get("id"), one["function"]["arguments"]) for one in response.choices[0].tool_calls]


def test_id_without_a_name_goes_on_with_its_index() -> None:
    """Some servers make up another with every piece."""
    assert found(called(call("c1", "f", '{"a":', index=0)), called(call("other", None, "1}", index=0))) == [
        ("c1", ONE)
    ]


def test_piece_with_neither_goes_on_with_the_last_call() -> None:
    """Or with that of its index."""
    assert found(called(call("c1", "f", "", index=0)), called(call(None, None, ONE))) == [("c1", ONE)]
    begun = called(call("c1", "f", '{"a":', index=0), call("c2", "g", '{"b":', index=1))
    further = called(call(None, None, "2}", index=1), call(None, None, "1}", index=0))
    assert found(begun, further) == [("c1", ONE), ("c2", TWO)]


def test_id_and_name_may_come_with_every_piece() -> None:
    """They are those of one call, whose arguments grow."""
    assert found(called(call("c1", "f", '{"a":', index=0)), called(call("c1", "f", "1}", index=0))) == [
        ("c1", ONE)
    ]


@pytest.mark.parametrize("index", [{"index": 0}, {}])
def test_call_that_comes_again_whole_is_one_call(index: dict[str, Any]) -> None:
    """With another id it is another call."""
    first, again = called(call("c1", "f", ONE, **index)), called(call("c1", "f", ONE, **index))
    assert found(first, again) == [("c1", ONE)]
    assert found(first, called(call("c2", "f", ONE, **index))) == [("c1", ONE), ("c2", ONE)]


def test_calls_without_ids_are_told_apart() -> None:
    """By their place in one event, and by their names where the first is whole."""
    assert found(called(call(None, "f", ONE), call(None, "f", ONE))) == [(None, ONE), (None, ONE)]
    first, second = called(call(None, "f", ONE, index=0)), called(call(None, "g", TWO, index=0))
    assert found(first, second) == [(None, ONE), (None, TWO)]


def test_repetition_is_told_by_what_arguments_mean() -> None:
    """However they are spaced, with or without a name, and though another call came between."""
    first = called(call("c1", "f", ONE, index=0))
    assert found(first, called(call("c1", "f", '{ "a": 1 }', index=0))) == [("c1", ONE)]
    assert found(first, called(call("c1", None, ONE, index=0))) == [("c1", ONE)]
    between = called(call("c2", "g", TWO, index=0))
    assert found(first, between, first) == [("c1", ONE), ("c2", TWO)]


def test_id_finds_its_call_among_those_of_one_index() -> None:
    """And a server that gives all calls one id tells them apart by what is whole."""
    begun = called(call("c1", "f", "", index=0)), called(call("c2", "g", "", index=0))
    further = called(call("c1", None, ONE, index=0)), called(call("c2", None, TWO, index=0))
    assert found(*begun, *further) == [("c1", ONE), ("c2", TWO)]
    first, other = called(call("c", "f", ONE, index=0)), called(call("c", "g", TWO, index=0))
    assert found(first, other) == [("c", ONE), ("c", TWO)]
    assert found(first, called(call("c", "f", TWO, index=0))) == [("c", ONE), ("c", TWO)]


def test_id_may_come_after_the_first_piece() -> None:
    """It is that of the call whose arguments have begun."""
    assert found(called(call(None, "f", '{"a":', index=0)), called(call("c1", "f", "1}", index=0))) == [
        ("c1", ONE)
    ]


def test_arguments_and_calls_come_in_any_form() -> None:
    """As an object, with an index as text, as the only call, or empty."""
    assert found(called(call("c1", "f", {"a": 1}, index="0"))) == [("c1", ONE)]
    assert found(piece(tool_calls=call("c1", "f", ONE))) == [("c1", ONE)]
    assert found(piece(tool_calls=[]), called(call("c1", "f", ""))) == [("c1", "")]


def test_call_is_the_same_in_pieces_and_at_once() -> None:
    """Without its place among the others, and with arguments as text."""
    calls = [
        call("c1", "f", {"a": 1}, index=0, type="function"),
        call("c2", "g", "{}", index=1, type="function"),
    ]
    message = {"role": "assistant", "content": None, "tool_calls": calls}
    body = {"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}
    request = chat_request(tools=TOOLS)

    at_once, _ = ask(Reply(json.loads(json.dumps(body))), request)
    in_pieces, _ = ask(event_stream(called(*calls), piece("tool_calls")), request, stream=True)

    assert at_once.choices == in_pieces.choices
