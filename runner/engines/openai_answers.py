"""The shapes of an OpenAI-compatible server's answers: only the fields that are read."""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec

from runner.engines.lenient import Count


class ContentPart(msgspec.Struct, gc=False):
    text: str | None = None
    thinking: str | list[ContentPart] | None = None


ChatContent: TypeAlias = str | list[ContentPart] | None


class ChatAlternative(msgspec.Struct, gc=False):
    token: str
    logprob: float


class ChatToken(msgspec.Struct, gc=False):
    token: str
    logprob: float
    token_id: int | None = None
    rank: int | None = None
    top_logprobs: list[ChatAlternative] | None = None


class ChatLogprobs(msgspec.Struct, gc=False):
    """As OpenAI has them, in content, or as Together has them, in lists side by side."""

    content: list[ChatToken] | None = None
    tokens: list[str] | None = None
    token_logprobs: list[float | None] | None = None
    token_ids: list[int] | None = None
    top_logprobs: list[dict[str, float] | None] | dict[str, float] | None = None


class ChatMessage(msgspec.Struct, gc=False):
    content: ChatContent = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[dict[str, Any]] | None = None


class PromptToken(msgspec.Struct, gc=False):
    logprob: float
    decoded_token: str | None = None
    rank: int | None = None


PromptLogprobs: TypeAlias = list[dict[int, PromptToken] | None] | None
"""As vLLM has them: for each token of the prompt, token id -> its logprob, the prompt's own first."""


class ChatChoice(msgspec.Struct, gc=False):
    message: ChatMessage
    error: Any = None
    index: int | None = None
    finish_reason: str | None = None
    stop_reason: int | str | None = None
    matched_stop: int | str | None = None
    logprobs: ChatLogprobs | None = None
    token_ids: list[int] | None = None
    response_token_ids: list[int] | None = None
    prompt_token_ids: list[int] | None = None
    prompt_logprobs: PromptLogprobs = None


class TextLogprobs(msgspec.Struct, gc=False):
    tokens: list[str] = []
    token_logprobs: list[float | None] = []
    top_logprobs: list[dict[str, float] | None] | None = None


class TextChoice(msgspec.Struct, gc=False):
    text: str | None
    error: Any = None
    index: int | None = None
    finish_reason: str | None = None
    stop_reason: int | str | None = None
    matched_stop: int | str | None = None
    logprobs: TextLogprobs | None = None
    token_ids: list[int] | None = None
    prompt_token_ids: list[int] | None = None
    prompt_logprobs: PromptLogprobs = None


class PromptDetails(msgspec.Struct, gc=False):
    cached_tokens: Count = None


class CompletionDetails(msgspec.Struct, gc=False):
    reasoning_tokens: Count = None


class UsageCounts(msgspec.Struct, gc=False):
    prompt_tokens: Count = None
    completion_tokens: Count = None
    total_tokens: Count = None
    prompt_cache_hit_tokens: Count = None
    num_cached_tokens: Count = None
    reasoning_tokens: Count = None
    prompt_tokens_details: PromptDetails | None = None
    prompt_token_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None


class ChatAnswer(msgspec.Struct, gc=False):
    choices: list[ChatChoice]
    error: Any = None
    usage: UsageCounts | None = None
    system_fingerprint: str | None = None
    model: str | None = None
    prompt_token_ids: list[int] | None = None
    prompt_logprobs: PromptLogprobs = None


class TextAnswer(msgspec.Struct, gc=False):
    choices: list[TextChoice]
    error: Any = None
    usage: UsageCounts | None = None
    system_fingerprint: str | None = None
    model: str | None = None
    prompt_token_ids: list[int] | None = None
    prompt_logprobs: PromptLogprobs = None
