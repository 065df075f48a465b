from __future__ import annotations

from typing import Any

import pytest

from runner.errors import ConfigError, RenderError
from runner.prompts import Conversation, compile_prompt, resolve_prompt
from runner.spec import Prompt
from runner.values import Row


def conversation(prompt: dict[str, Any], task: str = "chat") -> Conversation:
    return compile_prompt(resolve_prompt(Prompt.model_validate(prompt), []), task)


def row(**data: Any) -> Row:
    return Row("r", 0, data)


TWO_TURNS: dict[str, Any] = {
    "turns": [
        {"system": "Add."},
        {"user": "{{ row.one }}"},
        {"generate": "first"},
        {"user": "You said {{ first }}. {{ row.two }}"},
        {"generate": {"as": "second", "max_tokens": 256}},
    ]
}


def test_user_prompt_is_one_message() -> None:
    """The shortest prompt sends what one reads."""
    compiled = conversation({"user": "{{ row.q }}?"})

    assert compiled.input(row(q="1+1"), ()) == ({"role": "user", "content": "1+1?"},)
    assert (compiled.slots, compiled.sampling, compiled.columns) == (("answer",), ({},), frozenset({"q"}))


def test_slots_are_filled_in_order() -> None:
    """Each slot is asked with all turns before it, answers of earlier slots among them."""
    compiled = conversation(TWO_TURNS)
    opening = ({"role": "system", "content": "Add."}, {"role": "user", "content": "1+1"})

    data = row(one="1+1", two="2+2")
    assert compiled.input(data, []) == opening
    assert compiled.input(data, ["2"]) == (
        *opening,
        {"role": "assistant", "content": "2"},
        {"role": "user", "content": "You said 2. 2+2"},
    )


def test_slots_have_their_own_sampling() -> None:
    """Names and values of the slots are in their order; every column needed is known."""
    compiled = conversation(TWO_TURNS)

    assert compiled.slots == ("first", "second")
    assert compiled.sampling == ({}, {"max_tokens": 256})
    assert compiled.columns == {"one", "two"}


def test_answers_are_never_read_as_templates() -> None:
    """What a model says is text, even if it looks like a template."""
    compiled = conversation(TWO_TURNS)

    sent = compiled.input(row(one="1", two="{{ row.one }}"), ["{{ row.two }}"])
    assert isinstance(sent, tuple)
    assert sent[2:] == (
        {"role": "assistant", "content": "{{ row.two }}"},
        {"role": "user", "content": "You said {{ row.two }}. {{ row.one }}"},
    )


def test_given_assistant_turn_is_sent() -> None:
    """An example answer in the prompt is rendered like any other turn."""
    compiled = conversation({"turns": [{"user": "a"}, {"assistant": "{{ row.x }}"}, {"user": "b"}]})

    assert [m["content"] for m in compiled.input(row(x="y"), ()) if isinstance(m, dict)] == ["a", "y", "b"]


def test_raw_prompt_is_the_text_itself() -> None:
    """Task complete sends the rendered text without any message around it."""
    assert conversation({"user": "{{ row.q }} ="}, "complete").input(row(q="1+1"), ()) == "1+1 ="


@pytest.mark.parametrize(
    ("prompt", "place"),
    [
        ({"messages": "chat"}, "prompt.messages"),
        ({"user": "u", "system": "s"}, "prompt.system"),
        ({"turns": [{"user": "a"}, {"generate": "x"}, {"user": "b"}]}, "prompt.turns"),
        ({"turns": [{"assistant": "a"}]}, "prompt.turns.0.assistant"),
    ],
)
def test_raw_prompt_takes_no_messages(prompt: dict[str, Any], place: str) -> None:
    """What needs a chat template is refused for task complete."""
    with pytest.raises(ConfigError, match="task complete takes no") as caught:
        conversation(prompt, "complete")

    assert [fault.place for fault in caught.value.faults] == [place]


def test_faults_of_all_turns_are_reported_together() -> None:
    """Broken templates, unknown names and slots used too early come in one error."""
    declared = [
        {"user": "{{ first }}{{ rwo.x }}"},
        {"generate": "first"},
        {"user": "{{ x"},
        {"user": "{{ first }}"},
    ]
    with pytest.raises(ConfigError) as caught:
        conversation({"turns": declared})

    assert [(fault.place, fault.problem.split(": ", 1)[1]) for fault in caught.value.faults] == [
        ("prompt.turns.0.user", "unknown name 'first'"),
        ("prompt.turns.0.user", "unknown name 'rwo'"),
        ("prompt.turns.2.user", "unexpected end of template, expected 'end of print statement'"),
    ]


def test_row_without_a_column_fails_alone() -> None:
    """The error names template, column and what the row has."""
    with pytest.raises(RenderError, match=r"template prompt\.user:1: the row has no column 'q' \(known: p\)"):
        conversation({"user": "{{ row.q }}"}).input(row(p=1), ())


SYSTEM = {"role": "system", "content": "s"}
PARTS = [{"type": "text", "text": "hi"}]


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (["a"], [("user", "a")]),
        (["a", "b", "c"], [("user", "a"), ("assistant", "b"), ("user", "c")]),
        ([SYSTEM, "a"], [("system", "s"), ("user", "a")]),
        ([SYSTEM, {"role": "user", "content": "a"}], [("system", "s"), ("user", "a")]),
        ([{"role": "user", "content": PARTS}], [("user", PARTS)]),
    ],
)
def test_own_messages_are_sent(given: list[Any], sent: list[tuple[str, Any]]) -> None:
    """Alternating strings and messages in the OpenAI form both become messages."""
    messages = conversation({"messages": "chat"}).input(row(chat=given), ())

    assert [(m["role"], m["content"]) for m in messages if isinstance(m, dict)] == sent


def test_own_messages_keep_their_other_keys() -> None:
    """Tool calls and names are passed on as they are."""
    given = [
        {"role": "user", "content": "a", "name": "n"},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]},
        {"role": "tool", "content": "x", "tool_call_id": "1"},
    ]

    assert conversation({"messages": "chat"}).input(row(chat=given), ()) == tuple(given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("text", "expected a list of messages, not 'text'"),
        ([], r"expected a list of messages, not \[\]"),
        (["a", "b"], "so that the user speaks last, not 2"),
        (["a", 5, "c"], r"strings that alternate, not 5 at \[1\]"),
        ([5], r"messages with role and content, not 5 at \[0\]"),
        ([{"role": "usr", "content": "a"}], "a role at .0., not 'usr' .did you mean 'user'"),
        ([{"role": "user"}], r"a message with content at \[0\], not .\"role\": \"user\"."),
        ([{"role": "user", "content": None}], "text or a list of parts as content at .0., not null"),
        ([{"content": "a"}], r"a message with role at \[0\], not .\"content\": \"a\"."),
        ([{"role": "user", "content": [5]}], r"a part with its type at \[0\]\.content\[0\], not 5"),
        ([{"role": "user", "content": [*PARTS, "hi"]}], r"a part with its type at \[0\]\.content\[1\]"),
        ([{"role": "user", "content": [{"text": "hi"}]}], 'a part with its type .* not {"text": "hi"}'),
        ([{"role": "user", "content": [{"type": "text", "text": None}]}], "a part with text at "),
    ],
)
def test_malformed_messages_fail_the_row(given: Any, message: str) -> None:
    """A row whose messages make no conversation fails with what was expected."""
    with pytest.raises(RenderError, match=message):
        conversation({"messages": "chat"}).input(row(chat=given), ())


def test_row_without_its_messages_fails_alone() -> None:
    """The message names the column and those there are."""
    with pytest.raises(RenderError, match=r"no column 'chat' \(did you mean 'chats'\?"):
        conversation({"messages": "chat"}).input(row(chats=["a"]), ())
