"""Whatever an engine answers can be stored, and read again."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from runner.errors import IncompleteResponseError
from runner.storable import stored_form
from runner.values import Choice, Response, TokenLogprob, decode_response


def kept(**fields: Any) -> Choice:
    """Return the choice that is read again."""
    response, data = stored_form(Response((Choice(**fields),), engine="fake"))
    assert decode_response(data) == response
    return response.choices[0]


def test_half_a_surrogate_pair_is_replaced() -> None:
    """As a model gives that is cut between two tokens of one character."""
    assert kept(text="a\ud83d").text == "a\ufffd"
    assert kept(tool_calls=({"function": {"name": "\udc00"}},)).tool_calls[0]["function"]["name"] == "\ufffd"
    assert kept(text="\U0001f600").text == "\U0001f600"


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_number_that_is_none_is_never_stored(number: float) -> None:
    """What else was answered is kept."""
    tokens = (TokenLogprob("a", -0.5, top=(("b", number),)),)
    with pytest.raises(IncompleteResponseError, match="NaN or infinite") as caught:
        stored_form(Response((Choice("a", logprobs=tokens),), engine="fake"))
    with pytest.raises(IncompleteResponseError, match="NaN or infinite"):
        stored_form(Response(scores=(-number,), engine="fake"))

    assert caught.value.response == Response((Choice("a"),), engine="fake")


def test_log_probability_of_a_token_that_cannot_come_is_a_number() -> None:
    """It has the logarithm of zero."""
    tokens = (TokenLogprob("a", -math.inf, top=(("b", -math.inf),)),)
    (token,) = kept(logprobs=tokens, tool_calls=({"arguments": None},)).logprobs or ()

    assert (token.logprob, token.top) == (-9999.0, (("b", -9999.0),))


def test_value_that_is_nested_too_deep_is_left_out() -> None:
    """Its text stays."""
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    choice = kept(text="[", parsed=deep)
    # So that it isn't taken apart by calls nested as deep.
    while deep:
        deep = deep.pop()

    assert (choice.text, choice.parsed) == ("[", None)


def test_what_json_holds_is_stored_as_it_is() -> None:
    """The same bytes as ever."""
    response = Response((Choice(text="é", tool_calls=({"a": None},)),), engine="fake")

    assert stored_form(response) == (response, msgspec.json.encode(response))
