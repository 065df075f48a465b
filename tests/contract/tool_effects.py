"""Calls of tools on a real model: those that are forced, forbidden, and of the model's own."""

from __future__ import annotations

import json
import re
from typing import Any

from jsonschema import validate

from runner.values import Choice, Json, Request
from tests.contract.subjects import Subject, chat


def _function(name: str, **properties: Json) -> dict[str, Json]:
    """Return a tool whose arguments are all required, and held to their schema."""
    parameters = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    return {"type": "function", "function": {"name": name, "strict": True, "parameters": parameters}}


TOOLS = (
    _function("add", unit={"enum": ["ones", "tens"]}, carry={"type": "boolean"}),
    _function("reverse", letters={"enum": ["abc", "xyz"]}),
)
_NO_SPACES = dict.fromkeys((7, 8, 9), -100.0)
"""JSON may have as many as it likes, and the tiny model never ends to write them."""


def call(name: str, **sampling: Any) -> Request:
    """Return a request whose answer must be a call of a tool."""
    forced = {"type": "function", "function": {"name": name}}
    return chat(
        "37+48",
        **{
            "temperature": 0.0,
            "max_tokens": 120,
            "logit_bias": _NO_SPACES,
            "tools": TOOLS,
            "tool_choice": forced,
            **sampling,
        },
    )


def called(choice: Choice) -> tuple[str, Json]:
    """Return the tool that an answer calls, and with what; they are of a tool's own form."""
    (made,) = choice.tool_calls
    function = made["function"]
    arguments = json.loads(function["arguments"])
    (tool,) = (tool["function"] for tool in TOOLS if tool["function"]["name"] == function["name"])
    validate(arguments, tool["parameters"])
    assert (made["type"], bool(made["id"])) == ("function", True)
    return function["name"], arguments


def tools(subject: Subject) -> None:
    """A call of the tool that is forced comes back as data, its arguments of the form that the tool has."""
    for response, name in zip(subject.ask(call("add"), call("reverse")), ("add", "reverse"), strict=True):
        assert (called(response.choices[0])[0], response.text) == (name, "")
        # OpenAI ends a call that was forced by name with stop, and so does vLLM.
        assert response.choices[0].finish_reason in {"stop", "tool_calls"}


def tool_choice(subject: Subject) -> None:
    """One is called where one must be, none where none may be, and what the model itself calls is read."""
    required, none = subject.ask(call("", tool_choice="required"), call("", tool_choice="none"))
    assert called(required.choices[0])[0] in {"add", "reverse"}
    assert required.choices[0].finish_reason == "tool_calls"
    assert (none.text, none.choices[0].tool_calls) == ("85", ())

    written = '<tool_call>{"name":"reverse","arguments":{"letters":"abc"}}</tool_call>'
    lax = tuple({**tool, "function": {**tool["function"], "strict": False}} for tool in TOOLS)
    (own,) = subject.ask(call("", tool_choice="auto", tools=lax, regex=re.escape(written)))
    assert called(own.choices[0]) == ("reverse", {"letters": "abc"})
    assert own.choices[0].finish_reason == "tool_calls"
