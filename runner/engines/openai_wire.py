"""Reads what an OpenAI-compatible server answers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar

import msgspec

from runner.engines.in_band import answered_error, implied_error
from runner.engines.lenient import Reading, counted, loose_json
from runner.engines.notes import SILENT
from runner.engines.openai_answers import (
    ChatAnswer,
    ChatChoice,
    ChatContent,
    ChatMessage,
    TextAnswer,
    TextChoice,
    UsageCounts,
)
from runner.engines.openai_logprobs import (
    chat_logprobs,
    cumulative_logprob,
    prompt_logprobs,
    text_logprobs,
    with_ids,
)
from runner.engines.provider_wire import decode, malformed
from runner.engines.tool_pieces import arguments_text
from runner.errors import IncompleteResponseError
from runner.values import Choice, Json, Response, Timing, Usage, spelled

_Answer = TypeVar("_Answer", ChatAnswer, TextAnswer)

_chat = msgspec.json.Decoder(ChatAnswer)
_text = msgspec.json.Decoder(TextAnswer)
_NOTHING = Reading()
"""Asks for no more than the text."""


def read_chat(body: bytes, engine: str, timing: Timing, reading: Reading = _NOTHING) -> Response:
    """Decode the answer to a chat request.

    Raises:
        MalformedResponseError: it isn't what the API documents, or has no choices.
        IncompleteResponseError: what was asked for can't be read; it holds the rest, which was paid for.
        AskError: it, or a choice of it, tells of an error.
    """
    try:
        answer = _decode(_chat, body, reading)
        choices = tuple([_chat_choice(choice, reading) for choice in answer.choices])
    except IncompleteResponseError as error:
        error.response = read_chat(body, engine, timing, _unasked(reading))
        raise
    return _response(answer, choices, engine, timing, reading)


def read_text(body: bytes, engine: str, timing: Timing, reading: Reading = _NOTHING) -> Response:
    """Decode the answer to a completion request; raises as `read_chat` does."""
    try:
        answer = _decode(_text, body, reading)
        choices = tuple([_text_choice(choice, reading) for choice in answer.choices])
    except IncompleteResponseError as error:
        error.response = read_text(body, engine, timing, _unasked(reading))
        raise
    return _response(answer, choices, engine, timing, reading)


def _unasked(reading: Reading) -> Reading:
    """Return how the rest of an answer is read whose fault is an error, and not to be noted too."""
    return replace(reading, sampling={}, notes=SILENT)


def _decode(decoder: msgspec.json.Decoder[_Answer], body: bytes, reading: Reading) -> _Answer:
    answer = decode(decoder, body, reading)
    if error := answered_error(body):
        raise error
    choices = answer.choices
    if not choices:
        raise implied_error(loose_json(body)) or malformed("it has no choices", body)
    if len(choices) > 1:
        choices.sort(key=lambda choice: choice.index or 0)
    return answer


def _response(
    answer: ChatAnswer | TextAnswer,
    choices: tuple[Choice, ...],
    engine: str,
    timing: Timing,
    reading: Reading,
) -> Response:
    # Servers tell of the prompt beside the choices or in the first of them.
    first = answer.choices[0]
    ids = answer.prompt_token_ids or first.prompt_token_ids
    logprobs = answer.prompt_logprobs or first.prompt_logprobs
    # By position: names would take longer to match than all else here.
    return Response(
        choices,
        _usage(answer.usage) if answer.usage else Usage(),
        timing,
        engine,
        getattr(answer, reading.version) or None,
        tuple(ids) if ids is not None else None,
        prompt_logprobs(logprobs, ids) if logprobs is not None else None,
    )


def _usage(usage: UsageCounts) -> Usage:
    prompt = usage.prompt_tokens_details or usage.prompt_token_details
    details = usage.completion_tokens_details
    asked, answered = usage.prompt_tokens, usage.completion_tokens
    # SGLang counts reasoning under a name of its own, and so do DeepSeek and Mistral what was cached.
    reasoning = (details.reasoning_tokens if details else 0) or usage.reasoning_tokens or 0
    cached = (prompt.cached_tokens if prompt else 0) or usage.prompt_cache_hit_tokens
    cached = cached or usage.num_cached_tokens or 0
    # xAI counts reasoning beside the answer; its total gives that away.
    if reasoning and asked is not None and answered is not None:
        answered += reasoning if usage.total_tokens == asked + answered + reasoning else 0
    return Usage(
        counted(asked), counted(answered), cached and counted(cached), reasoning and counted(reasoning)
    )


def _chat_choice(choice: ChatChoice, reading: Reading) -> Choice:
    message = choice.message
    content = message.content
    if type(content) is str and content and choice.finish_reason == "stop" and _is_plain(choice, message):
        if choice.stop_reason is None and choice.matched_stop is None:
            return Choice(content, "stop")
        return Choice(content, "stop", stop_reason=_stop_reason(choice, reading))
    ids = _ids(choice.token_ids or choice.response_token_ids)
    logprobs = with_ids(chat_logprobs(choice.logprobs, reading), ids)
    text = _joined(content)
    return Choice(
        # A refusal comes in a field of its own, and is what the model said.
        text=text or message.refusal or "",
        finish_reason=_finish(choice.finish_reason, refused=bool(message.refusal) and not text),
        token_ids=ids,
        logprobs=logprobs,
        cumulative_logprob=cumulative_logprob(logprobs),
        reasoning=message.reasoning_content or message.reasoning or _thoughts(content),
        tool_calls=tuple(_call(call, reading) for call in message.tool_calls) if message.tool_calls else (),
        stop_reason=_stop_reason(choice, reading),
    )


def _is_plain(choice: ChatChoice, message: ChatMessage) -> bool:
    """Tell whether a choice has nothing but a text and why it ended, as nearly all have."""
    return (
        choice.logprobs is None
        and message.tool_calls is None
        and choice.token_ids is None
        and choice.response_token_ids is None
        and not message.reasoning_content
        and not message.reasoning
    )


def _text_choice(choice: TextChoice, reading: Reading) -> Choice:
    ids = _ids(choice.token_ids)
    logprobs = with_ids(text_logprobs(choice.logprobs, reading), ids)
    return Choice(
        text=choice.text or "",
        finish_reason=_finish(choice.finish_reason),
        token_ids=ids,
        logprobs=logprobs,
        cumulative_logprob=cumulative_logprob(logprobs),
        stop_reason=_stop_reason(choice, reading),
    )


_TELLING = ("stop", "stop_token_ids", "logprobs", "return_token_ids", "passthrough")
"""Sampling values beside which what ended an answer is kept: else SGLang's end token would be in each."""


def _stop_reason(choice: ChatChoice | TextChoice, reading: Reading) -> int | str | None:
    """Return what ended an answer, as vLLM and SGLang report it."""
    reason = choice.matched_stop if choice.stop_reason is None else choice.stop_reason
    if reason is None or isinstance(reason, str):
        return reason or None
    return reason if any(reading.sampling.get(name) for name in _TELLING) else None


def _call(call: dict[str, Any], reading: Reading) -> Json:
    """Return a call of a tool without its place, and with its arguments as text."""
    function = call.get("function")
    if function is not None and not isinstance(function, dict):
        if not reading.sampling.get("tools"):
            return call
        raise IncompleteResponseError(f"the function of a tool call is {spelled(function)}, not an object")
    call.pop("index", None)
    if call.get("id") == "null":  # Mistral's, of a call without one
        del call["id"]
    if function and not isinstance(function.get("arguments", ""), str):
        call["function"] = {**function, "arguments": arguments_text(function["arguments"])}
    return call


def _ids(ids: list[int] | None) -> tuple[int, ...] | None:
    return tuple(ids) if ids is not None else None


_FINISH = {
    "eos": "stop",
    "eos_token": "stop",
    "end_turn": "stop",
    "function_call": "tool_calls",
    "model_length": "length",
}
"""What some providers call the reasons that the others share."""


def _finish(reason: str | None, *, refused: bool = False) -> str | None:
    if reason == "stop":
        return "content_filter" if refused else reason
    return _FINISH.get(reason, reason) if reason else None


def _joined(content: ChatContent) -> str:
    if isinstance(content, list):
        return "".join(part.text or "" for part in content)
    return content or ""


def _thoughts(content: ChatContent) -> str | None:
    if not isinstance(content, list):
        return None
    return "".join(_joined(part.thinking) for part in content if part.thinking) or None
