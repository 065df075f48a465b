"""An answer that lacks what was asked is an error, whichever engine gave it."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from runner.errors import IncompleteResponseError, MissingLogprobsError, ServerError
from runner.values import Choice, Json, Request, Response, count

ASKED = frozenset({"n", "logprobs", "prompt_logprobs", "return_token_ids", "tool_choice"})
"""Sampling values that an answer has to show."""

_CUT = frozenset({"length", "content_filter"})
"""Why an answer ended before it had all that was asked: it stays one, and says so itself."""

_FAILED = frozenset({"error", "abort", "insufficient_system_resource", "MALFORMED_RESPONSE"})
"""Why an answer ended, where it was the server that failed: as OpenRouter and Mistral, vLLM and SGLang,
DeepSeek, and Google say it."""


def require_served(reason: str | None) -> None:
    """Raise `ServerError` where a finish reason says that the server failed."""
    if reason in _FAILED:
        raise ServerError(f"the server broke the answer off: its finish reason is {reason}")


def require_asked(request: Request, response: Response) -> None:
    """Make sure that an answer is one, and has what was asked.

    Raises:
        ServerError: the server says that it failed.
        IncompleteResponseError: n, logprobs (`MissingLogprobsError`) or a forced call, which servers drop in
            silence, are missing. It holds the answer, which was paid for.
    """
    for choice in response.choices:
        if choice.finish_reason != "stop":
            require_served(choice.finish_reason)
    if not response.choices or not ASKED.isdisjoint(request.sampling):
        try:
            _require_whole(request, response)
        except IncompleteResponseError as error:
            error.response = response
            raise


def _require_finite(response: Response) -> None:
    totals = [choice.cumulative_logprob or 0.0 for choice in response.choices]
    prompt = [token for token in response.prompt_logprobs or () if token is not None]
    totals += [token.logprob for token in prompt]
    totals += [logprob for token in prompt for _, logprob in token.top]
    if not all(map(isfinite, totals)):
        raise IncompleteResponseError("log probabilities were asked for, and one is NaN or infinite")


def _require_whole(request: Request, response: Response) -> None:
    asked = request.sampling.get("n") or 1
    if len(response.choices) < asked:
        raise IncompleteResponseError(
            f"n is {asked}, the answer has {count(len(response.choices), 'choice')}"
        )
    if request.sampling.get("prompt_logprobs") is not None and response.prompt_logprobs is None:
        raise IncompleteResponseError("prompt_logprobs were asked for, the answer has none")
    if request.sampling.get("return_token_ids") and any(c.token_ids is None for c in response.choices):
        raise IncompleteResponseError("return_token_ids was asked for, the answer has none")
    _require_calls(request.sampling.get("tool_choice"), response.choices)
    _require_finite(response)
    if not request.sampling.get("logprobs"):
        return
    # An answer without text, such as one that a filter cut, has no tokens to speak of.
    spoken = [choice for choice in response.choices if choice.text]
    if any(not choice.logprobs for choice in spoken):
        raise MissingLogprobsError("logprobs were asked for, the answer has none")
    top = request.sampling.get("top_logprobs") or 0
    if top and any(not token.top for choice in spoken for token in choice.logprobs or ()):
        raise MissingLogprobsError(f"top_logprobs is {top}, the answer has none")


def _require_calls(forced: Json, choices: Sequence[Choice]) -> None:
    name = _name(forced)
    if name is None and forced != "required":
        return
    told = f"tool_choice forces {name}" if name else "tool_choice is required"
    for choice in choices:
        names = [_name(call) for call in choice.tool_calls]
        if (name not in names if name else not names) and choice.finish_reason not in _CUT:
            called = ", ".join(map(str, names)) or "no tool"
            raise IncompleteResponseError(f"{told}, the answer calls {called}")


def _name(said: Json) -> str | None:
    """Return the name of the function that a call, or the choice of one, is about."""
    function = said.get("function") if isinstance(said, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    return name if isinstance(name, str) else None
