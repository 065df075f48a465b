"""Google: what it is sent, and what is made of its answers."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from google.genai import types

from runner.engines.google import KIND
from runner.errors import BadRequestError, ConnectionFailedError, IncompleteResponseError
from runner.values import Message, TokenLogprob, Usage
from tests.engines.asking_engines import chat_request
from tests.providers.native import (
    CALL,
    FORCED,
    PNG,
    SCHEMA,
    TOOL,
    TURNS,
    calling,
    conversation,
    google_answer,
    with_image,
)
from tests.providers.wire import KEY, events, exchange, streamed

SAYS = google_answer({"text": "Hello"})
TOKEN = {"token": "3", "tokenId": 51, "logProbability": -0.5}
LOGPROBS = {"chosenCandidates": [TOKEN], "topCandidates": [{"candidates": [TOKEN]}]}


def require_typed(body: dict[str, Any]) -> None:
    """Make sure that a body is what the SDK's types say, which know no other keys."""
    for turn in [*body["contents"], *([body["systemInstruction"]] if "systemInstruction" in body else [])]:
        types.Content.model_validate(turn)
    types.GenerationConfig.model_validate(body.get("generationConfig", {}))
    types.ToolConfig.model_validate(body.get("toolConfig", {}))
    for tool in body.get("tools", []):
        types.Tool.model_validate(tool)


def test_every_parameter_of_the_table_is_sent_in_googles_form() -> None:
    """All that the table declares arrives as the SDK's own types say, with the key in Google's header."""
    asked: dict[str, Any] = {
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 40,
        "max_tokens": 7,
        "stop": ["END"],
        "seed": 3,
        "n": 1,
        "logprobs": True,
        "top_logprobs": 1,
        "presence_penalty": 0.1,
        "frequency_penalty": 0.2,
        "tools": [TOOL],
        "tool_choice": FORCED,
        "reasoning_effort": "high",
        "json_schema": SCHEMA,
    }
    _, sent = exchange("google", chat_request(**asked), calling("google"))

    assert set(asked) == set(KIND.capabilities.sampling) - {"passthrough"}
    assert sent.body["generationConfig"] == {
        "temperature": 0.5,
        "topP": 0.9,
        "topK": 40,
        "maxOutputTokens": 7,
        "stopSequences": ["END"],
        "seed": 3,
        "candidateCount": 1,
        "responseLogprobs": True,
        "logprobs": 1,
        "presencePenalty": 0.1,
        "frequencyPenalty": 0.2,
        "thinkingConfig": {"thinking_level": "HIGH", "include_thoughts": True},
        "responseMimeType": "application/json",
        "responseJsonSchema": SCHEMA,
    }
    (declared,) = sent.body["tools"][0]["functionDeclarations"]
    assert declared["parameters_json_schema"] == TOOL["function"]["parameters"]  # type: ignore[index] # a literal
    assert sent.body["toolConfig"]["functionCallingConfig"] == {
        "mode": "ANY",
        "allowedFunctionNames": ["add"],
    }
    require_typed(sent.body)


def test_version_model_and_key_are_where_google_wants_them() -> None:
    """The model and the API's version stand in the path, the key in a header and never in the address."""
    _, sent = exchange("google", chat_request(), SAYS)
    _, stable = exchange("google", chat_request(), SAYS, api_version="v1")

    assert (sent.path, stable.path) == ("/v1beta/models/m:generateContent", "/v1/models/m:generateContent")
    assert sent.headers["x-goog-api-key"] == KEY


def test_passthrough_is_laid_over_the_body() -> None:
    """What the table hasn't goes into the body as it is, within its maps too."""
    further = {"safetySettings": [], "generationConfig": {"mediaResolution": "MEDIA_RESOLUTION_LOW"}}

    _, sent = exchange("google", chat_request(seed=3, passthrough=further), SAYS)

    assert sent.body["safetySettings"] == []
    assert sent.body["generationConfig"] == {"seed": 3, "mediaResolution": "MEDIA_RESOLUTION_LOW"}


@pytest.mark.parametrize(("choice", "mode"), [("auto", "AUTO"), ("none", "NONE"), ("required", "ANY")])
def test_tool_choice_has_googles_words(choice: str, mode: str) -> None:
    """Each word has its own there."""
    _, sent = exchange("google", chat_request(tools=[TOOL], tool_choice=choice), calling("google"))

    assert sent.body["toolConfig"] == {"functionCallingConfig": {"mode": mode}}


def test_effort_none_is_a_budget_of_nothing() -> None:
    """No level is sent with it; a level that Google hasn't is refused before anything is sent."""
    _, sent = exchange("google", chat_request(reasoning_effort="none"), SAYS)

    assert sent.body["generationConfig"] == {"thinkingConfig": {"thinking_budget": 0}}
    with pytest.raises(BadRequestError, match="none, minimal, low, medium, high, xhigh"):
        exchange("google", chat_request(reasoning_effort="huge"), SAYS)


def test_turns_have_googles_form() -> None:
    """System texts stand apart, calls and their results are parts; the result has its function's name."""
    _, sent = exchange("google", conversation(*TURNS), SAYS)

    assert sent.body["systemInstruction"] == {"parts": [{"text": "Be brief."}, {"text": "In English."}]}
    call = {"name": "add", "args": {"a": 1}, "id": "c1"}
    result = {"name": "add", "response": {"output": "3"}, "id": "c1"}
    assert sent.body["contents"] == [
        {"role": "user", "parts": [{"text": "1 + 2?"}]},
        {"role": "model", "parts": [{"functionCall": call}]},
        {"role": "user", "parts": [{"functionResponse": result}]},
        {"role": "model", "parts": [{"text": "3"}]},
        {"role": "user", "parts": [{"text": "Sure?"}]},
    ]
    require_typed(sent.body)


@pytest.mark.parametrize(
    ("url", "part"),
    [
        (PNG, {"inlineData": {"mime_type": "image/png", "data": "iVBORw0KGgo="}}),
        (
            "https://example.org/cat.jpg?v=2",
            {"fileData": {"file_uri": "https://example.org/cat.jpg?v=2", "mime_type": "image/jpeg"}},
        ),
        (
            "https://generativelanguage.googleapis.com/v1beta/files/abc",
            {"fileData": {"file_uri": "https://generativelanguage.googleapis.com/v1beta/files/abc"}},
        ),
    ],
)
def test_images_are_data_or_files(url: str, part: dict[str, Any]) -> None:
    """A data URL is split into type and data; an address is sent with the type that its ending tells."""
    _, sent = exchange("google", with_image(url), SAYS)

    assert sent.body["contents"][0]["parts"] == [{"text": "What is it?"}, part]
    require_typed(sent.body)


@pytest.mark.parametrize("url", ["https://example.org/cat", "http://example.org/cat.png"])
def test_image_that_google_cant_fetch_is_refused_by_name(url: str) -> None:
    """Nothing is sent."""
    with pytest.raises(BadRequestError, match=url):
        exchange("google", with_image(url), SAYS)


def test_answer_is_read_whole() -> None:
    """Text, thoughts, calls and tokens each have their place; thoughts count as answered."""
    body = google_answer(
        {"text": "One and two.", "thought": True},
        {"text": "Let me "},
        {"text": "add."},
        {"functionCall": {"id": "c1", "name": "add", "args": {"a": 1}}},
    )
    body["usageMetadata"] |= {"thoughtsTokenCount": 5, "cachedContentTokenCount": 4}
    types.GenerateContentResponse.model_validate(body)

    response, _ = exchange("google", chat_request(tools=[TOOL]), body)

    (choice,) = response.choices
    assert (choice.text, choice.reasoning, choice.tool_calls) == ("Let me add.", "One and two.", (CALL,))
    assert choice.finish_reason == "tool_calls"
    assert response.usage == Usage(
        prompt_tokens=10, completion_tokens=25, cached_tokens=4, reasoning_tokens=5
    )
    assert (response.engine, response.engine_version) == ("google", "gemini-3.5-flash")


def test_signature_of_a_thought_goes_back_with_its_call() -> None:
    """Newer models refuse the result of a call without it; a call without an id is given one."""
    signature = base64.b64encode(b"thought").decode()
    signed = {"functionCall": {"name": "add", "args": {}}, "thoughtSignature": signature}

    response, _ = exchange("google", chat_request(tools=[TOOL]), google_answer(signed))
    (call,) = response.choices[0].tool_calls
    turns = (TURNS[2], {"role": "assistant", "tool_calls": [call]})
    result = {"role": "tool", "tool_call_id": call["id"], "content": '{"sum": 3}'}
    _, sent = exchange("google", conversation(*turns, result), SAYS)

    assert sent.body["contents"][1]["parts"][0]["thoughtSignature"] == signature
    assert sent.body["contents"][2]["parts"][0]["functionResponse"]["response"] == {"sum": 3}


@pytest.mark.parametrize(
    ("message", "named"),
    [
        ({"role": "system", "content": "Be brief."}, "system messages before all others"),
        ({"role": "tool", "tool_call_id": "c9", "content": "3"}, "c9"),
        ({"role": "user", "content": [{"type": "image_url", "image_url": {"url": f"{PNG}?"}}]}, "no base64"),
    ],
)
def test_turn_that_gemini_has_no_form_for_is_refused_by_name(message: Message, named: str) -> None:
    """System text between turns, a result without a call, data that is none."""
    with pytest.raises(BadRequestError, match=named):
        exchange("google", conversation(TURNS[2], message), SAYS)


def test_all_candidates_come_in_order() -> None:
    """Candidates are sorted by their index; fewer than n is an error."""
    first, second = SAYS["candidates"][0], google_answer({"text": "Hi"}, index=1)["candidates"][0]

    response, _ = exchange("google", chat_request(n=2), {**SAYS, "candidates": [second, first]})

    assert [choice.text for choice in response.choices] == ["Hello", "Hi"]
    with pytest.raises(IncompleteResponseError, match="n is 2"):
        exchange("google", chat_request(n=2), SAYS)


def test_logprobs_are_read() -> None:
    """Each token has its probability, its id and the alternatives; none at all is an error."""
    response, _ = exchange(
        "google",
        chat_request(logprobs=True, top_logprobs=1),
        google_answer({"text": "3"}, logprobsResult=LOGPROBS),
    )

    (choice,) = response.choices
    assert choice.logprobs == (TokenLogprob("3", -0.5, 51, (("3", -0.5),)),)
    with pytest.raises(IncompleteResponseError, match="logprobs"):
        exchange("google", chat_request(logprobs=True), SAYS)


@pytest.mark.parametrize(
    ("said", "finish"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("PROHIBITED_CONTENT", "content_filter"),
        ("MALFORMED_FUNCTION_CALL", "MALFORMED_FUNCTION_CALL"),
        ("SOMETHING_NEW", "SOMETHING_NEW"),
    ],
)
def test_reason_for_the_end_has_our_name(said: str, finish: str) -> None:
    """A filter is an answer, one without content mostly; what we have no name for stays as it was said."""
    body = {"candidates": [{"finishReason": said}]}

    response, _ = exchange("google", chat_request(), body)

    assert (response.choices[0].finish_reason, response.choices[0].text) == (finish, "")


def test_blocked_prompt_is_an_answer_that_a_filter_cut() -> None:
    """It has no candidates, and as many silent choices as were asked for."""
    response, _ = exchange("google", chat_request(n=2), {"promptFeedback": {"blockReason": "SAFETY"}})

    assert [choice.finish_reason for choice in response.choices] == ["content_filter"] * 2


def test_stream_yields_text_alone() -> None:
    """Thoughts are not shown, and the end is waited for."""
    last = google_answer({"text": "lo"})
    parts = [
        google_answer(part, finishReason=None) for part in ({"text": "hm", "thought": True}, {"text": "Hel"})
    ]

    pieces, sent = streamed("google", chat_request(), events(*parts, last, done=False))

    assert pieces == ["Hel", "lo"]
    assert sent.path == "/v1beta/models/m:streamGenerateContent?alt=sse"


def test_stream_that_ends_before_the_answer_is_a_failed_connection() -> None:
    """Half an answer never passes for a whole one."""
    reply = events(google_answer({"text": "Hel"}, finishReason=None), done=False)

    with pytest.raises(ConnectionFailedError, match="before the answer did"):
        streamed("google", chat_request(), reply)
