"""An answer is the same in pieces, however it is cut, and in one piece: both have one request key."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.engines.anthropic_pieces import Pieces as AnthropicPieces
from runner.engines.anthropic_wire import read_message
from runner.engines.chunks import Chunk, completed
from runner.engines.course import Course
from runner.engines.google_pieces import Pieces as GooglePieces
from runner.engines.google_wire import read_answer
from runner.engines.lenient import Reading
from runner.engines.mistral_wire import read_completion
from runner.engines.openai_stream import chunked, put_together
from runner.engines.openai_wire import read_chat, read_text
from runner.values import Choice, Response, Timing
from tests.engines.asking_engines import chat_request
from tests.engines.chunk_kit import added_up
from tests.engines.stream_cuts import TEXT, cut, data_of, opened, streams

READING = Reading({"tools": [1], "logprobs": True})
FINISH = st.sampled_from(["stop", "length", "tool_calls", "content_filter"])
COUNTS = st.integers(0, 9) | st.floats(0, 9) | st.none()
ARGUMENTS = st.dictionaries(TEXT, st.integers(0, 9), max_size=2).map(json.dumps)
TOKENS = st.lists(st.fixed_dictionaries({"token": TEXT, "logprob": st.floats(-9, 0)}), max_size=4)


def timeless(response: Response) -> Response:
    """Return a response without its times."""
    return msgspec.structs.replace(response, timing=Timing())


def usages(*names: str) -> st.SearchStrategy[Any]:
    """Return what a server may report of these counts."""
    return st.none() | st.fixed_dictionaries({}, optional=dict.fromkeys(names, COUNTS))


OPENAI_USAGE = usages("prompt_tokens", "completion_tokens", "total_tokens")


@st.composite
def messages(draw: st.DrawFn) -> dict[str, Any]:
    """Return a message in OpenAI's form."""
    message: dict[str, Any] = {"role": "assistant", "content": draw(TEXT | st.none())}
    for name in ("reasoning_content", "reasoning", "refusal"):
        if draw(st.booleans()):
            message[name] = draw(TEXT | st.none())
    names = [f"f{number}" for number in range(draw(st.integers(0, 3)))]
    calls = [
        {"id": f"id-{name}", "type": "function", "function": {"name": name, "arguments": draw(ARGUMENTS)}}
        for name in names
    ]
    return {**message, "tool_calls": calls or None}


def _index(how: str, number: int) -> dict[str, Any]:
    known: dict[str, Any] = {"own": number, "text": str(number), "same": 0}
    return {"index": known[how]} if how in known else {}


@st.composite
def call_pieces(draw: st.DrawFn, calls: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Return the pieces of calls as servers cut them: with an index, with one for all, or with none."""
    how = draw(st.sampled_from(["own", "text", "same", "none"]))
    found: list[list[dict[str, Any]]] = []
    for number, call in enumerate(calls):
        index = _index(how, number)
        first, *rest = cut(draw, call["function"]["arguments"])
        function = {**call["function"], "arguments": first}
        found.append([{**call, **index, "function": function}])
        found += [[{**index, "function": {"arguments": text}}] for text in rest]
        if draw(st.booleans()):
            found.append([{**call, **index}])  # again, whole
    return found


@st.composite
def deltas(draw: st.DrawFn, message: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the deltas that a message is cut into."""
    found: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    for name in ("reasoning_content", "reasoning", "content", "refusal"):
        for text in cut(draw, message.get(name) or ""):
            as_parts = name == "content" and draw(st.booleans())
            found.append({name: [{"type": "text", "text": text}] if as_parts else text})
    return found + [{"tool_calls": calls} for calls in draw(call_pieces(message["tool_calls"] or []))]


@st.composite
def chats(draw: st.DrawFn) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return an answer in OpenAI's form, and the events that it is cut into."""
    choices, by_choice = [], []
    for index in range(draw(st.integers(1, 3))):
        message, finish, tokens = draw(messages()), draw(FINISH), draw(TOKENS)
        logprobs = {"content": tokens} if tokens else None
        choice = {"index": index, "message": message, "finish_reason": finish, "logprobs": logprobs}
        choices.append(choice)
        pieces = [{"index": index, "delta": delta, "finish_reason": None} for delta in draw(deltas(message))]
        parts = cut(draw, tokens) if tokens else []
        pieces += [{"index": index, "delta": {}, "logprobs": {"content": part}} for part in parts if part]
        by_choice.append([*pieces, {"index": index, "delta": {}, "finish_reason": finish}])
    beside = {"usage": draw(OPENAI_USAGE), "system_fingerprint": draw(TEXT | st.none()), "model": "m"}
    events = [{"choices": [piece]} for piece in _interleaved(draw, by_choice)]
    none: list[dict[str, Any]] = []
    extra = draw(st.sampled_from([none, [{"type": "ping"}], [{"sources": none}]]))
    return {"choices": choices, **beside}, [*events, *extra, {"choices": [], **beside}]


def _interleaved(draw: st.DrawFn, sequences: list[list[Any]]) -> list[Any]:
    """Return all items, those of each sequence in their order."""
    order = draw(st.permutations([number for number, one in enumerate(sequences) for _ in one]))
    remaining = [iter(one) for one in sequences]
    return [next(remaining[number]) for number in order]


def assembled(
    chunks: list[bytes], read: Callable[[bytes, Timing], Response], asked: int, task: str = "chat"
) -> tuple[Response, str]:
    """Return the response that a stream in OpenAI's form makes up, and the text that it streams.

    All that it streams adds up to the response.
    """

    async def items(task: str) -> AsyncGenerator[Chunk | Response]:
        async for item in chunked(opened(chunks), Course("here", asked), task):
            yield item if isinstance(item, Chunk) else read(*item)

    async def go() -> tuple[Response, str]:
        body, timing = await put_together(opened(chunks), Course("here", asked))
        response = read(body, timing)
        *streamed, whole = [item async for item in completed(items(task), chat_request())]
        assert isinstance(whole, Response)
        assert timeless(whole) == timeless(response)
        return response, summed(response, streamed)

    return asyncio.run(go())


def summed(response: Response, streamed: list[Any]) -> str:
    """Make sure that chunks add up to a response, and return their text of its first choice."""
    choices = added_up(streamed)
    assert [plain(one) for one in choices] == [plain(one) for one in response.choices]
    assert [chunk.usage for chunk in streamed if chunk.usage is not None] == [response.usage]
    return choices[0].text


async def ended(chunks: list[Chunk], response: Response) -> list[Any]:
    """Return chunks with what completes them."""

    async def items() -> AsyncGenerator[Chunk | Response]:
        for chunk in chunks:
            yield chunk
        yield response

    return [item async for item in completed(items(), chat_request()) if isinstance(item, Chunk)]


def plain(choice: Choice) -> Choice:
    """Return a choice without what chunks leave to whoever adds them up: sums, and forms of nothing."""
    return msgspec.structs.replace(
        choice,
        cumulative_logprob=None,
        token_ids=choice.token_ids or None,
        logprobs=choice.logprobs or None,
        reasoning=choice.reasoning or None,
        tool_calls=tuple(map(parsed, choice.tool_calls)),
    )


def parsed(call: Any) -> Any:
    """Return a call with its arguments read: providers space them as they like."""
    function = call["function"]
    return {**call, "function": {**function, "arguments": json.loads(function.get("arguments") or "{}")}}


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_chat_in_openai_form(data: st.DataObject) -> None:
    """That of OpenAI, Together, Fireworks, xAI, DeepSeek, vLLM, SGLang, and any server like them."""
    whole, events = data.draw(chats())

    def read(body: bytes, timing: Timing) -> Response:
        return read_chat(body, "e", timing, READING)

    at_once = read(json.dumps(whole).encode(), Timing())
    in_pieces, text = assembled(data.draw(streams(events)), read, len(whole["choices"]))

    assert timeless(in_pieces) == at_once
    assert text == at_once.text


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_chat_of_mistral(data: st.DataObject) -> None:
    """Its form is OpenAI's, and the model's name stands for a version."""
    whole, events = data.draw(chats())
    reading = Reading(READING.sampling, version="model")

    def read(body: bytes, timing: Timing) -> Response:
        return read_completion(body, timing, reading)

    at_once = read(json.dumps(whole).encode(), Timing())
    in_pieces, text = assembled(data.draw(streams(events)), read, len(whole["choices"]))

    assert timeless(in_pieces) == at_once
    assert (text, at_once.engine_version) == (at_once.text, "m")


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_raw_completion_in_openai_form(data: st.DataObject) -> None:
    """Its tokens come with the text, or apart from it."""
    text, finish = data.draw(TEXT), data.draw(st.sampled_from(["stop", "length"]))
    ids = data.draw(st.lists(st.integers(0, 9), max_size=4))
    usage = data.draw(OPENAI_USAGE)
    whole = {"choices": [{"text": text, "finish_reason": finish, "token_ids": ids or None}], "usage": usage}
    drawing: st.DrawFn = data.draw  # type: ignore[assignment]
    pieces: list[dict[str, Any]] = [{"text": piece} for piece in cut(drawing, text)]
    pieces += [{"text": "", "token_ids": piece or None} for piece in cut(drawing, ids)]
    events = [{"choices": [piece]} for piece in [*pieces, {"text": "", "finish_reason": finish}]]

    def read(body: bytes, timing: Timing) -> Response:
        return read_text(body, "e", timing, READING)

    at_once = read(json.dumps(whole).encode(), Timing())
    in_pieces, streamed = assembled(
        data.draw(streams([*events, {"choices": [], "usage": usage}])), read, 1, "complete"
    )

    assert timeless(in_pieces) == at_once
    assert streamed == text


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_log_probabilities_of_together(data: st.DataObject) -> None:
    """One comes with each token, where an answer in one piece has lists."""
    tokens = data.draw(st.lists(st.tuples(TEXT, st.floats(-9, 0)), min_size=1, max_size=4))
    said, numbers = [text for text, _ in tokens], [number for _, number in tokens]
    logprobs = {"tokens": said, "token_logprobs": numbers}
    message = {"content": "".join(said)}
    whole = {"choices": [{"message": message, "finish_reason": "stop", "logprobs": logprobs}]}
    events = [{"choices": [{"delta": {"content": text}, "logprobs": number}]} for text, number in tokens]

    def read(body: bytes, timing: Timing) -> Response:
        return read_chat(body, "together", timing, READING)

    ended = {"choices": [{"delta": {}, "finish_reason": "stop"}]}
    in_pieces, _ = assembled(data.draw(streams([*events, ended])), read, 1)

    assert timeless(in_pieces) == read(json.dumps(whole).encode(), Timing())


@st.composite
def anthropic_messages(draw: st.DrawFn) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return an answer of Anthropic's, and the events that it is cut into."""
    blocks, events = [], []
    for index in range(draw(st.integers(0, 3))):
        kind = draw(st.sampled_from(["text", "thinking", "tool_use"]))
        if kind == "tool_use":
            arguments = draw(ARGUMENTS)
            empty: dict[str, Any] = {"type": kind, "id": f"id-{index}", "name": "f", "input": {}}
            blocks.append({**empty, "input": json.loads(arguments)})
            told = [{"type": "input_json_delta", "partial_json": text} for text in cut(draw, arguments)]
        else:
            text = draw(TEXT)
            empty = {"type": kind, kind: ""}
            blocks.append({"type": kind, kind: text})
            told = [{"type": f"{kind}_delta", kind: piece} for piece in cut(draw, text)]
        events.append({"type": "content_block_start", "index": index, "content_block": empty})
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in told]
        events.append({"type": "content_block_stop", "index": index})
    reason = draw(st.sampled_from(["end_turn", "max_tokens", "tool_use"]))
    usage = draw(
        usages("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    )
    message = {"type": "message", "model": "claude", "content": blocks, "stop_reason": reason, "usage": usage}
    begun = {**message, "content": [], "stop_reason": None, "usage": None}
    ended = {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": usage}
    ping = draw(st.sampled_from([[], [{"type": "ping"}], [{"type": "later_kind"}]]))
    return message, [
        {"type": "message_start", "message": begun}, *ping, *events, ended, {"type": "message_stop"}
    ]  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_message_of_anthropic(data: st.DataObject) -> None:
    """Text, thoughts and calls."""
    whole, events = data.draw(anthropic_messages())
    pieces = AnthropicPieces(Course("here", 1), READING)

    at_once = read_message(json.dumps(whole).encode(), READING)
    chunks = [pieces.add(event) for event in data_of(data.draw(streams(events, done=False)))]

    assert timeless(pieces.response()) == at_once
    assert summed(at_once, asyncio.run(ended(chunks, at_once))) == at_once.text


@st.composite
def google_answers(draw: st.DrawFn) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return an answer of Google's, and the events that it is cut into."""
    candidates, by_candidate = [], []
    for index in range(draw(st.integers(1, 2))):
        parts: list[dict[str, Any]] = []
        pieces: list[dict[str, Any]] = []
        for _ in range(draw(st.integers(0, 3))):
            if draw(st.booleans()):
                arguments = json.loads(draw(ARGUMENTS))
                parts.append({"functionCall": {"name": "f", "args": arguments}, "thoughtSignature": "c2ln"})
                pieces.append(parts[-1])
                continue
            text, thought = draw(TEXT), draw(st.booleans())
            parts.append({"text": text, "thought": thought})
            pieces += [{"text": piece, "thought": thought} for piece in cut(draw, text)]
        reason = draw(st.sampled_from(["STOP", "MAX_TOKENS", "SAFETY"]))
        candidates.append({"index": index, "content": {"parts": parts}, "finishReason": reason})
        events = [{"index": index, "content": {"parts": [piece]}} for piece in pieces]
        by_candidate.append([*events, {"index": index, "finishReason": reason}])
    names = ("promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount", "cachedContentTokenCount")
    beside = {"usageMetadata": draw(usages(*names)), "modelVersion": "gemini"}
    events = [{"candidates": [piece]} for piece in _interleaved(draw, by_candidate)]
    last = {**events.pop(), **beside}
    return {"candidates": candidates, **beside}, [*events, last]


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_answer_of_google(data: st.DataObject) -> None:
    """Text, thoughts and calls of several candidates."""
    whole, events = data.draw(google_answers())
    asked = len(whole["candidates"])
    pieces = GooglePieces(Course("here", asked), READING)

    at_once = read_answer(json.dumps(whole).encode(), asked, READING)
    drawn = data_of(data.draw(streams(events, done=False)))
    chunks = [chunk for event in drawn for chunk in pieces.add(event)]

    assert timeless(pieces.response()) == at_once
    assert summed(at_once, asyncio.run(ended(chunks, at_once))) == at_once.text
