"""What is sent to Mistral, and how its answers are read."""

from __future__ import annotations

from typing import Any

import msgspec

from runner.engines.lenient import Reading
from runner.engines.mistral import KIND
from runner.engines.openai_body import response_format
from runner.engines.openai_messages import calls_of, functions_of, parts_of, require_known
from runner.engines.openai_wire import read_chat
from runner.engines.provider_wire import tool_call
from runner.values import Json, Message, Request, Response, Timing

_NAMES = {name: parameter.name for name, parameter in KIND.capabilities.sampling.items()}
_APART = frozenset({"json_schema", "tools", "passthrough"})


def arguments_of(request: Request, model: str) -> dict[str, Any]:
    """Return the arguments of the SDK's ``chat.complete_async``.

    Raises:
        BadRequestError: the messages or tools are not in the OpenAI form.
    """
    sampling = request.sampling
    own = {
        _NAMES[name]: value for name, value in sampling.items() if name not in _APART and value is not None
    }
    if sampling.get("tools"):
        own["tools"] = [
            {"type": "function", "function": {"parameters": {}, **function}}
            for function in functions_of(sampling["tools"], "strict")
        ]
    if sampling.get("json_schema") is not None:
        own |= response_format("json_schema", sampling["json_schema"])
    return {"model": model, "messages": [_message(message) for message in request.input], **own}


def _message(message: Message | int | str) -> dict[str, Json]:
    """Return a message as the SDK takes it, which would drop in silence what it doesn't know."""
    assert isinstance(message, dict), "raw prompts are refused by the capabilities"
    require_known(message, frozenset({"prefix"}))
    parts_of(message)
    calls_of(message)
    own = {name: value for name, value in message.items() if value is not None}
    return {"content": None, **own, "role": "system"} if message["role"] == "developer" else own


def read_completion(body: bytes, timing: Timing, reading: Reading) -> Response:
    """Decode an answer, which has OpenAI's form; raises as `read_chat` does."""
    response = read_chat(body, "mistral", timing, reading)
    if not any(choice.tool_calls for choice in response.choices):
        return response
    choices = tuple(
        msgspec.structs.replace(choice, tool_calls=tuple(map(_call, choice.tool_calls)))
        for choice in response.choices
    )
    return msgspec.structs.replace(response, choices=choices)


def _call(call: Json) -> Json:
    """Return a call of a tool with its type and id, which Mistral may leave out."""
    function = call.get("function") or {}
    return tool_call(call.get("id") or "", function.get("name") or "", function.get("arguments") or "")
