"""What servers say of an error, in whatever form and with whatever status, decides what becomes of a row."""

from __future__ import annotations

from typing import Any

import pytest

from runner.engines.provider_errors import provider_error
from runner.errors import (
    AskError,
    AuthenticationError,
    BadRequestError,
    ContextLengthError,
    EngineError,
    RateLimitError,
)
from tests.engines.answer_kit import ask, event_stream
from tests.engines.scripted_server import Reply, chat

GOOD_STATUS: list[tuple[Any, type[AskError]]] = [
    ({"base_resp": {"status_code": 1002}}, RateLimitError),
    ({"choices": None, "base_resp": {"status_code": 1002, "status_msg": ""}}, RateLimitError),
    ({"base_resp": {"status_code": 1008}}, EngineError),
    ({"base_resp": {"status_code": 1004, "status_msg": "token"}}, AuthenticationError),
    ({"code": 429, "message": "slow down"}, RateLimitError),
    ({"code": "429", "msg": "slow down"}, RateLimitError),
    ({"statusCode": 429, "message": "Try again in 3 seconds."}, RateLimitError),
    ({"status": 429, "title": "Too Many Requests"}, RateLimitError),
    ({"status": {"code": 429, "message": "busy"}}, RateLimitError),
    ({"type": "error", "message": "quota exceeded"}, RateLimitError),
    ({"detail": "Quota exceeded for quota metric"}, RateLimitError),
    ({"error": True, "message": "Rate limit exceeded"}, RateLimitError),
    ({"error_code": 18, "error_msg": "Open api qps request limit reached"}, RateLimitError),
    ({"error_code": 17, "error_msg": "daily"}, RateLimitError),
    ({"error": {"code": "1302", "message": "您的账户已达到速率限制"}}, RateLimitError),
    ({"error": {"code": "1113", "message": "x"}}, EngineError),
    ({"error": {"message": "TPM limit exceeded"}}, RateLimitError),
    ({"error": {"message": "Concurrency limit reached"}}, RateLimitError),
    ({"status": "fail", "code": 1, "message": "requests too frequent"}, RateLimitError),
    ({"err": "too many requests"}, RateLimitError),
    ({"header": {"code": 11202, "message": "rate limit"}}, RateLimitError),
    ({"Response": {"Error": {"Code": "LimitExceeded", "Message": "rate limit"}}}, RateLimitError),
    (
        {"fault": {"faultstring": "Rate limit quota violation", "detail": {"errorcode": "policies"}}},
        RateLimitError,
    ),
    ({"status": "error", "message": "You exceeded your current quota, please check your plan"}, EngineError),
    ({"error": {"message": "Payment required"}}, EngineError),
    ({"error": {"message": "Balance not enough"}}, EngineError),
    ({"error": {"message": "Please recharge your account"}}, EngineError),
    ({"error": {"message": "no money", "code": 402}}, EngineError),
    (
        {
            "error": {
                "code": 429,
                "status": "RESOURCE_EXHAUSTED",
                "message": "You exceeded your current quota, please check your plan and billing details.",
            }
        },
        RateLimitError,
    ),
]

TOO_LONG = [
    # vLLM
    "max_tokens must be at least 1, got 0.",
    "max_tokens must be at least 1, got -3.",
    "This model's maximum context length is 512 tokens. However, your prompt contains 513 input tokens",
    "Input length (513) exceeds model's maximum context length (512).",
    "The decoder prompt (length 600) is longer than the maximum model length of 512.",
    # SGLang
    "The input (600 tokens) is longer than the model's context length (512 tokens).",
    "Requested token count exceeds the model's maximum context length of 512 tokens.",
    "Request prompt exceeds the KV memory budget: input_len=600.",
    # OpenAI
    "Your input exceeds the context window of this model. Please adjust your input and try again.",
    "Input tokens exceed the configured limit of 272000 tokens. Your messages resulted in 300000 tokens.",
    "Please reduce the length of the messages or completion.",
    # Anthropic
    "prompt is too long: 210000 tokens > 200000 maximum",
    "input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000",
    # Mistral
    "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
    # Google
    "The input token count (1048577) exceeds the maximum number of tokens allowed (1048576).",
    "Unable to submit request because the input token count is 40000 but model only supports up to 32768.",
    # Together, TGI, TEI
    "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4097. Given: 4000 `inputs` tokens",
    "Input validation error: `inputs` must have less than 1024 tokens. Given: 2000",
    # Fireworks
    "The prompt is too long: 131073, model maximum context length: 131072",
    # xAI
    "This model's maximum prompt length is 131072 but the request contains 531512 tokens.",
    # others
    "too many tokens: total number of tokens in the prompt cannot exceed 4081",
    "Input is too long for requested model.",
    "Invalid request: Your request exceeded model token limit: 8192",
    "Range of input length should be [1, 6000]",
    "the request exceeds the available context size, try increasing it",
    "Prompt exceeds max length",
]

NOT_TOO_LONG = [
    "max_tokens must be at least 1, got 0.5",
    "temperature must be at least 0, got -1",
    "stop strings must have at most 4 items",
    "Invalid 'tools[0].function.name': string does not match pattern",
    "top_logprobs must be less than 20",
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("body", "kind"), GOOD_STATUS)
def test_error_with_a_good_status_is_what_it_says(body: Any, kind: type[AskError], stream: bool) -> None:
    """Whether the answer was to come whole or in pieces."""
    reply = event_stream(body) if stream else Reply(body)

    with pytest.raises(AskError) as caught:
        ask(reply, stream=stream)

    assert type(caught.value) is kind


def test_good_answer_with_words_of_errors_is_an_answer() -> None:
    """Fields that are empty, or report success, tell of no error."""
    fields = {
        "base_resp": {"status_code": 0, "status_msg": "success"},
        "error": None,
        "status": "ok",
        "code": 0,
    }

    response, _ = ask(Reply({**chat("rate limit, quota, recharge"), **fields}))

    assert response.text == "rate limit, quota, recharge"


@pytest.mark.parametrize("status", [400, 413, 422])
@pytest.mark.parametrize("message", TOO_LONG)
def test_prompt_that_is_too_long_is_told_from_its_words(message: str, status: int) -> None:
    """In every wording that servers have for it."""
    body = b'{"error": {"message": "%s"}}' % message.encode()

    assert type(provider_error(status, body, None, None)) is ContextLengthError


@pytest.mark.parametrize("message", NOT_TOO_LONG)
def test_other_refusals_stay_what_they_are(message: str) -> None:
    """A number that is out of range says nothing of the prompt."""
    body = b'{"error": {"message": "%s"}}' % message.encode()

    assert type(provider_error(400, body, None, None)) is BadRequestError
