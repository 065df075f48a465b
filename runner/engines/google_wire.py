"""What Google answers with: only the fields that are read."""

from __future__ import annotations

from itertools import zip_longest

import msgspec

from runner.engines.in_band import answered_error, implied_error
from runner.engines.lenient import Count, Reading, counted, loose_json
from runner.engines.provider_wire import decode, malformed, tool_call
from runner.values import Choice, Json, Response, TokenLogprob, Usage

_FINISH = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "CONTINUATION": "length",
    # Google itself says STOP to a call; what stands in for it may not.
    "FUNCTION_CALL": "tool_calls",
    **dict.fromkeys(
        (
            "SAFETY",
            "RECITATION",
            "BLOCKLIST",
            "PROHIBITED_CONTENT",
            "SPII",
            "IMAGE_SAFETY",
            "IMAGE_PROHIBITED_CONTENT",
            "IMAGE_RECITATION",
            "ESCALATION",
            "MODEL_ARMOR",
        ),
        "content_filter",
    ),
}


class _Wire(msgspec.Struct, rename="camel"):
    pass


class _FunctionCall(_Wire):
    name: str
    args: dict[str, Json] | None = None
    id: str | None = None


class _Part(_Wire):
    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    function_call: _FunctionCall | None = None


class Content(_Wire):
    """What a candidate says."""

    parts: list[_Part] | None = None


class _Token(_Wire):
    token: str = ""
    token_id: int | None = None
    log_probability: float = 0.0


class _Top(_Wire):
    candidates: list[_Token] | None = None


class Logprobs(_Wire):
    """The log probabilities of a candidate."""

    chosen_candidates: list[_Token] | None = None
    top_candidates: list[_Top] | None = None


class Candidate(_Wire):
    """One answer to the request."""

    content: Content | None = None
    finish_reason: str | None = None
    index: int | None = None
    logprobs_result: Logprobs | None = None


class _Usage(_Wire):
    prompt_token_count: Count = None
    candidates_token_count: Count = None
    thoughts_token_count: Count = None
    cached_content_token_count: Count = None
    tool_use_prompt_token_count: Count = None


class _Feedback(_Wire):
    block_reason: str | None = None


class Answer(_Wire):
    """A whole answer, or what one event of a stream brings."""

    candidates: list[Candidate] | None = None
    prompt_feedback: _Feedback | None = None
    usage_metadata: _Usage | None = None
    model_version: str | None = None


_answer = msgspec.json.Decoder(Answer)


def read_answer(body: bytes, asked: int, reading: Reading) -> Response:
    """Decode the answer to a request for *asked* candidates.

    A prompt that is blocked has candidates that say nothing.

    Raises:
        MalformedResponseError: it isn't what the API documents, or has no candidates.
        AskError: it has a good status and tells of an error.
    """
    answer = decode(_answer, body, reading)
    if error := answered_error(body):
        raise error
    if not answer.candidates and not is_blocked(answer):
        raise implied_error(loose_json(body)) or malformed("it has no candidates", body)
    return response_of(answer, asked)


def is_blocked(answer: Answer) -> bool:
    """Tell whether the prompt was refused, so that there are no candidates."""
    return answer.prompt_feedback is not None and answer.prompt_feedback.block_reason is not None


def response_of(answer: Answer, asked: int) -> Response:
    """Return the response that an answer to a request for *asked* candidates is."""
    candidates = sorted(answer.candidates or (), key=lambda candidate: candidate.index or 0)
    silent = (Choice(finish_reason="content_filter"),) * asked
    return Response(
        choices=tuple(_choice(candidate) for candidate in candidates) or silent,
        usage=_usage(answer.usage_metadata) if answer.usage_metadata else Usage(),
        engine="google",
        engine_version=answer.model_version,
    )


def _choice(candidate: Candidate) -> Choice:
    parts = (candidate.content.parts if candidate.content else None) or []
    spoken = [part for part in parts if part.text]
    calls = tuple(_call(part, index) for index, part in enumerate(p for p in parts if p.function_call))
    logprobs = _logprobs(candidate.logprobs_result)
    reason = candidate.finish_reason
    finish = _FINISH.get(reason, reason) if reason else None
    return Choice(
        text="".join(part.text or "" for part in spoken if not part.thought),
        finish_reason="tool_calls" if calls and finish == "stop" else finish,
        logprobs=logprobs,
        cumulative_logprob=sum(token.logprob for token in logprobs) if logprobs is not None else None,
        reasoning="".join(part.text or "" for part in spoken if part.thought) or None,
        tool_calls=calls,
    )


def _call(part: _Part, index: int) -> Json:
    call = part.function_call
    assert call is not None
    # Sent back as Google's OpenAI-compatible API has it: newer models want it with the result of the call.
    signed = {"extra_content": {"google": {"thought_signature": part.thought_signature}}}
    further = signed if part.thought_signature else {}
    return tool_call(call.id or f"call_{index}", call.name, call.args or {}, **further)


def _logprobs(told: Logprobs | None) -> tuple[TokenLogprob, ...] | None:
    if told is None or told.chosen_candidates is None:
        return None
    tops = (told.top_candidates or [])[: len(told.chosen_candidates)]
    return tuple(
        TokenLogprob(
            token=chosen.token,
            logprob=chosen.log_probability,
            token_id=chosen.token_id,
            top=tuple(
                (other.token, other.log_probability) for other in (top.candidates if top else None) or ()
            ),
        )
        for chosen, top in zip_longest(told.chosen_candidates, tops)
    )


def _usage(usage: _Usage) -> Usage:
    # Google leaves out what is 0, and counts thoughts beside the answer.
    thoughts = usage.thoughts_token_count or 0
    return Usage(
        counted((usage.prompt_token_count or 0) + (usage.tool_use_prompt_token_count or 0)),
        counted((usage.candidates_token_count or 0) + thoughts),
        counted(usage.cached_content_token_count or 0),
        counted(thoughts),
    )


class _Values(_Wire):
    values: list[float]


class _Embedded(_Wire):
    embeddings: list[_Values]


_embedded = msgspec.json.Decoder(_Embedded)


def read_embeddings(body: bytes, reading: Reading) -> list[list[float]]:
    """Decode the answer to several inputs; raises as `decode` does."""
    return [one.values for one in decode(_embedded, body, reading).embeddings]
