"""What is sent to Mistral, and what its SDK makes of the answers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mistralai.client import models

from runner.engines.asked import require_served
from runner.engines.mistral import KIND
from runner.engines.openai_body import response_format
from runner.engines.openai_messages import calls_of, functions_of, parts_of, require_known
from runner.engines.provider_wire import malformed, tool_call
from runner.values import Choice, Json, Message, Request, Response, TokenLogprob, Usage

_NAMES = {name: parameter.name for name, parameter in KIND.capabilities.sampling.items()}
_APART = frozenset({"json_schema", "tools", "passthrough"})
_FINISH = {"model_length": "length"}
_CACHED = ("prompt_tokens_details", "prompt_token_details")


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


def read_completion(answer: models.ChatCompletionResponse) -> Response:
    """Return the response that an answer of the SDK is.

    Raises:
        MalformedResponseError: it has no choices.
    """
    if not answer.choices:
        raise malformed("it has no choices")
    choices = sorted(answer.choices, key=lambda choice: choice.index)
    return Response(
        choices=tuple(_choice(choice) for choice in choices),
        usage=usage_of(answer.usage),
        engine="mistral",
        engine_version=answer.model,
    )


def read_chunk(chunk: models.CompletionChunk) -> str:
    """Return the text that one event of a stream brings; raises as `require_served` does."""
    for choice in chunk.choices:
        require_served(str(choice.finish_reason))
    return text_of(chunk.choices[0].delta.content) if chunk.choices else ""


def _choice(choice: models.ChatCompletionChoice) -> Choice:
    message = choice.message
    if message is None:
        raise malformed("a choice has no message")
    logprobs = logprobs_of(choice.logprobs)
    return Choice(
        text=text_of(message.content),
        finish_reason=finish_of(str(choice.finish_reason)),
        logprobs=logprobs,
        cumulative_logprob=sum(token.logprob for token in logprobs) if logprobs is not None else None,
        reasoning=thoughts_of(message.content),
        tool_calls=tuple(
            tool_call(call.id or "", call.function.name, call.function.arguments)
            for call in message.tool_calls or ()
        ),
    )


def _parts(content: Any) -> Iterable[Any]:
    return content if isinstance(content, list) else ()


def finish_of(reason: str) -> str:
    """Return why an answer ended, by the name that all engines have for it."""
    return _FINISH.get(reason, reason)


def text_of(content: Any) -> str:
    """Return the text of a message's content, without its thoughts."""
    if isinstance(content, str):
        return content
    return "".join(part.text for part in _parts(content) if isinstance(part, models.TextChunk))


def thoughts_of(content: Any) -> str | None:
    """Return the thoughts in a message's content."""
    thoughts = [part for part in _parts(content) if isinstance(part, models.ThinkChunk)]
    texts = [t.text for thought in thoughts for t in thought.thinking if isinstance(t, models.TextChunk)]
    return "".join(texts) or None


def logprobs_of(given: Any) -> tuple[TokenLogprob, ...] | None:
    """Return the log probabilities of a choice, or of a piece of one."""
    if not isinstance(given, models.ChatCompletionResponseChoiceLogprobs):
        return None
    return tuple(
        TokenLogprob(
            token=token.token,
            logprob=token.logprob,
            token_id=token.token_id,
            top=tuple((other.token, other.logprob) for other in token.top_logprobs or ()),
        )
        for token in given.content
    )


def usage_of(usage: models.UsageInfo) -> Usage:
    """Return the counts of tokens."""
    # The SDK doesn't declare what was cached, and keeps it beside what it does.
    further = usage.additional_properties or {}
    details: dict[str, Json] = next((told for name in _CACHED if (told := further.get(name))), {})
    cached = details.get("cached_tokens") or further.get("num_cached_tokens") or 0
    return Usage(
        prompt_tokens=usage.prompt_tokens or 0,
        completion_tokens=usage.completion_tokens or 0,
        cached_tokens=cached if isinstance(cached, int) else 0,
    )
