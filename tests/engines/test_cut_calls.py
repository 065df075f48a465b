"""An answer that max_tokens cut off in a tool call is the same whether it came whole or in pieces."""

from __future__ import annotations

from typing import Any

import pytest

from runner.values import Choice
from tests.engines.answer_kit import ask, event_stream, piece
from tests.engines.asking_engines import chat_request
from tests.engines.scripted_server import Reply, chat

TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}


def call(arguments: str, index: int = 0) -> dict[str, Any]:
    function = {"name": "add", "arguments": arguments}
    return {"index": index, "id": f"c{index}", "type": "function", "function": function}


def whole(content: str | None, *calls: dict[str, Any], finish: str = "length", used: int = 9) -> Choice:
    body = chat(content, finish_reason=finish)
    body["choices"][0]["message"]["tool_calls"] = list(calls)
    body["usage"] = {"prompt_tokens": 3, "completion_tokens": used}
    (choice,) = ask(Reply(body), chat_request(tools=[TOOL], max_tokens=9))[0].choices
    return choice


def in_pieces(content: str | None, *calls: dict[str, Any], finish: str = "length", used: int = 9) -> Choice:
    deltas = [piece(content=content)] if content else []
    deltas += [piece(tool_calls=[one]) for one in calls]
    usage = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": used}}
    reply = event_stream(*deltas, piece(finish), usage)
    (choice,) = ask(reply, chat_request(tools=[TOOL], max_tokens=9), stream=True)[0].choices
    return choice


CUT = [
    # vLLM, tool_choice: required: nothing of what the stream has sent
    ((None,), (None, call('{"a": '))),
    (("",), ("", call('{"a": 1}'), call('{"b', 1))),
    # a named function: the beginning of the arguments in both
    ((None, call('{"a": ')), (None, call('{"a": '))),
    # auto: the markup as text
    (('<tool_call>\n{"name": "add", "argu',), ("", call('{"a": '))),
    (('I add.\n<tool_call>\n{"name": "add"',), ("I add.\n", call(""))),
    (('[TOOL_CALLS][{"name": "add"',), ("", call(""))),
    # cut before the name came
    (("<tool_call>",), ("",)),
]


@pytest.mark.parametrize(("at_once", "streamed"), CUT)
def test_cut_call_is_none_in_both_forms(at_once: tuple[Any, ...], streamed: tuple[Any, ...]) -> None:
    """Their request key is the same, and so is what is stored under it."""
    assert in_pieces(*streamed) == whole(*at_once)
    assert whole(*at_once).tool_calls == ()
    assert whole(*at_once).finish_reason == "length"


def test_call_that_is_cut_behind_another_is_cut() -> None:
    """Of a whole answer, vLLM says tool_calls; of the same one in pieces, length."""
    calls = (call('{"a": 1}'), call('{"b": ', 1))

    assert whole(None, *calls, finish="tool_calls") == in_pieces(None, *calls)


@pytest.mark.parametrize("finish", ["tool_calls", "stop"])
def test_whole_calls_stay(finish: str) -> None:
    """Also where the last token that was allowed ended them."""
    made = whole(None, call('{"a": 1}'), finish=finish)

    assert made == in_pieces(None, call('{"a": 1}'), finish=finish)
    assert made.tool_calls[0]["function"]["arguments"] == '{"a": 1}'


def test_arguments_that_the_model_got_wrong_stay() -> None:
    """They were not cut: fewer tokens were used than allowed."""
    made = whole(None, call('{"a": '), finish="tool_calls", used=5)

    assert made.tool_calls[0]["function"]["arguments"] == '{"a": '


def test_text_without_tools_is_left_alone() -> None:
    """Nobody asked for calls: markup is text."""
    (choice,) = ask(Reply(chat("<tool_call> is a tag", finish_reason="length")))[0].choices

    assert choice.text == "<tool_call> is a tag"


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("In C++ write <function=x> then", "In C++ write <function=x> then"),
        ("a std::<function> of", "a std::<function> of"),
        ("Let me see. <function=add>\n<parameter=a>", "Let me see."),
        ('Let me see. <function=add>{"a": ', "Let me see."),
        ("Let me see. <function=ad", "Let me see."),
    ],
)
def test_prose_that_looks_like_markup_is_kept(text: str, kept: str) -> None:
    """Of a call, its arguments follow, or nothing yet."""
    assert whole(text).text == kept
    assert in_pieces(text).text == kept
