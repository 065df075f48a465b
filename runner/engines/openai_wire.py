"""Reads what an OpenAI-compatible server answers."""

from __future__ import annotations

from dataclasses import replace
from itertools import zip_longest
from typing import Any, TypeVar

import msgspec

from runner.engines.in_band import answered_error, implied_error
from runner.engines.lenient import Reading, counted, loose_json
from runner.engines.openai_answers import (
    ChatAnswer,
    ChatChoice,
    ChatContent,
    ChatLogprobs,
    ChatMessage,
    PromptToken,
    TextAnswer,
    TextChoice,
    TextLogprobs,
    UsageCounts,
)
from runner.engines.provider_wire import decode, malformed
from runner.engines.tool_pieces import arguments_text
from runner.errors import IncompleteResponseError
from runner.values import Choice, Json, Response, Timing, TokenLogprob, Usage, spelled

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
        error.response = read_chat(body, engine, timing, replace(reading, sampling={}))
        raise
    return _response(answer, choices, engine, timing, reading)


def read_text(body: bytes, engine: str, timing: Timing, reading: Reading = _NOTHING) -> Response:
    """Decode the answer to a completion request; raises as `read_chat` does."""
    try:
        answer = _decode(_text, body, reading)
        choices = tuple([_text_choice(choice, reading) for choice in answer.choices])
    except IncompleteResponseError as error:
        error.response = read_text(body, engine, timing, replace(reading, sampling={}))
        raise
    return _response(answer, choices, engine, timing, reading)


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
        _prompt_logprobs(logprobs, ids) if logprobs is not None else None,
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
    logprobs = _with_ids(_chat_logprobs(choice.logprobs, reading), ids)
    text = _joined(content)
    return Choice(
        # A refusal comes in a field of its own, and is what the model said.
        text=text or message.refusal or "",
        finish_reason=_finish(choice.finish_reason, refused=bool(message.refusal) and not text),
        token_ids=ids,
        logprobs=logprobs,
        cumulative_logprob=_total(logprobs),
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
    logprobs = _with_ids(_text_logprobs(choice.logprobs, reading), ids)
    return Choice(
        text=choice.text or "",
        finish_reason=_finish(choice.finish_reason),
        token_ids=ids,
        logprobs=logprobs,
        cumulative_logprob=_total(logprobs),
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


def _with_ids(
    logprobs: tuple[TokenLogprob, ...] | None, ids: tuple[int, ...] | None
) -> tuple[TokenLogprob, ...] | None:
    """Return log probabilities with the ids of their tokens, which vLLM lists beside them."""
    if not logprobs or ids is None or len(ids) != len(logprobs) or logprobs[0].token_id is not None:
        return logprobs
    return tuple([msgspec.structs.replace(one, token_id=id_) for one, id_ in zip(logprobs, ids, strict=True)])


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


def _prompt_logprobs(
    told: list[dict[int, PromptToken] | None], ids: list[int] | None
) -> tuple[TokenLogprob | None, ...]:
    """Return the prompt's own tokens, each with its alternatives; the first token has no logprob."""
    found: list[TokenLogprob | None] = []
    for place, alternatives in enumerate(told):
        if not alternatives:
            found.append(None)
            continue
        own = ids[place] if ids is not None and place < len(ids) else None
        if own is None or own not in alternatives:
            own = next(iter(alternatives))
        by_rank = sorted(alternatives.items(), key=lambda item: item[1].rank or 0)
        top = tuple((token.decoded_token or "", token.logprob) for _, token in by_rank)
        chosen = alternatives[own]
        found.append(TokenLogprob(chosen.decoded_token or "", chosen.logprob, own, top, chosen.rank))
    return tuple(found)


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


def _chat_logprobs(logprobs: ChatLogprobs | None, reading: Reading) -> tuple[TokenLogprob, ...] | None:
    if logprobs is None:
        return None
    if logprobs.content is None:
        return _listed_logprobs(logprobs, reading)
    return tuple(
        TokenLogprob(
            token=token.token,
            logprob=token.logprob,
            token_id=token.token_id,
            rank=token.rank,
            top=tuple((other.token, other.logprob) for other in token.top_logprobs or ()),
        )
        for token in logprobs.content
    )


def _lacks_numbers(logprobs: list[float | None], reading: Reading) -> bool:
    """Tell whether lists of log probabilities hold null, and nobody asked for them.

    An echoed prompt's first token has none.

    Raises:
        IncompleteResponseError: they were asked for.
    """
    if None not in logprobs:
        return False
    sampling = reading.sampling
    echoed = (sampling.get("passthrough") or {}).get("echo")
    if None not in (logprobs[1:] if echoed else logprobs):
        return False
    if sampling.get("logprobs"):
        raise IncompleteResponseError("logprobs were asked for, and one is null")
    return True


def _listed_logprobs(logprobs: ChatLogprobs, reading: Reading) -> tuple[TokenLogprob, ...] | None:
    if not logprobs.tokens or not logprobs.token_logprobs or _lacks_numbers(logprobs.token_logprobs, reading):
        return None
    count = len(logprobs.tokens)
    tops = logprobs.top_logprobs if isinstance(logprobs.top_logprobs, list) else [None] * count
    return tuple(
        TokenLogprob(token=token, logprob=logprob or 0.0, token_id=token_id, top=tuple((top or {}).items()))
        for token, logprob, token_id, top in zip_longest(
            logprobs.tokens, logprobs.token_logprobs, (logprobs.token_ids or [])[:count], tops[:count]
        )
    )


def _text_logprobs(logprobs: TextLogprobs | None, reading: Reading) -> tuple[TokenLogprob, ...] | None:
    if logprobs is None or _lacks_numbers(logprobs.token_logprobs, reading):
        return None
    if logprobs.tokens and not logprobs.token_logprobs:
        return None  # they could not be read, and nobody asked for them
    tops = logprobs.top_logprobs or [None] * len(logprobs.tokens)
    return tuple(
        TokenLogprob(token=token, logprob=logprob or 0.0, top=tuple(top.items()) if top else ())
        for token, logprob, top in zip(logprobs.tokens, logprobs.token_logprobs, tops, strict=False)
    )


def _total(logprobs: tuple[TokenLogprob, ...] | None) -> float | None:
    return sum(token.logprob for token in logprobs) if logprobs is not None else None
