"""One form for an answer that was cut off while it called a tool, whether it came whole or in pieces.

Servers differ in what they make of it. vLLM parses the calls of a whole answer, and reports none where they
are cut, or their markup as text; the pieces of a stream it has sent by then. So such an answer has no calls,
and its text ends where the markup begins.
"""

from __future__ import annotations

import re

import msgspec

from runner.engines.provider_errors import UNREADABLE
from runner.values import Choice, Request, Response

_MARKUP = re.compile(
    r"\s*(<tool_calls?\b[^>]*>?|<\|tool_calls?\b|<\|?tool[\u2581_]calls?[\u2581_]|<\uff5ctool\u2581|\[TOOL_CALLS?\]"
    # Prose has <function=x> too: of a call, its arguments follow, or nothing yet.
    r"|<function(?:_calls?>|s>|=[\w.-]*(?:\Z|>\s*(?:<parameter|\{|\Z)))"
    r"|<\|python_tag\|>|<\|action_start\|>|<minimax:tool_call>|<seed:tool_call>|<\|START_ACTION\|>)"
)
"""What models write before their calls."""


def without_cut_calls(request: Request, response: Response) -> Response:
    """Return a response without calls that `max_tokens` cut off; others as they are."""
    if not request.sampling.get("tools"):
        return response
    most, counted = request.sampling.get("max_tokens"), response.usage.completion_tokens
    filled = most is not None and counted is not None and len(response.choices) == 1 and counted >= most
    choices = tuple([_normal(choice, filled=filled) for choice in response.choices])
    return response if choices == response.choices else msgspec.structs.replace(response, choices=choices)


def _normal(choice: Choice, *, filled: bool) -> Choice:
    # vLLM says tool_calls to a call that was cut, where there is another before it.
    hidden = filled and choice.finish_reason == "tool_calls" and not _is_whole(choice)
    if choice.finish_reason != "length" and not hidden:
        return choice
    found = _MARKUP.search(choice.text)
    text = (
        choice.text[: found.start()] if found else choice.text.rstrip() if choice.tool_calls else choice.text
    )
    return msgspec.structs.replace(choice, text=text, tool_calls=(), finish_reason="length")


def _is_whole(choice: Choice) -> bool:
    """Tell whether the arguments of the last call are JSON."""
    function = choice.tool_calls[-1].get("function") if choice.tool_calls else None
    arguments = function.get("arguments") if isinstance(function, dict) else None
    if not isinstance(arguments, str):
        return True
    try:
        msgspec.json.decode(arguments)
    except UNREADABLE:
        return False
    return True
