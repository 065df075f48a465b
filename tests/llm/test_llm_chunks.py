"""Streams of chunks, and what they leave behind."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from runner import LLM
from runner.engines.chunks import Chunk
from runner.errors import ConfigError, RateLimitError, RequestTimeoutError
from runner.values import Response, Timing
from tests.engines.chunk_kit import added_up
from tests.http_server import Exchange, HttpServer, answers, chats, in_turn
from tests.llm.values_server import endpoints
from tests.work.work_kit import CHAT, Lab, served

pytestmark = pytest.mark.usefixtures("lab")

TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}
CALL = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
USAGE = {"prompt_tokens": 3, "completion_tokens": 4}


def token(text: str, number: int) -> dict[str, Any]:
    """Return a token with its log probability, as vLLM has it."""
    return {"token": text, "logprob": -0.5 * number, "top_logprobs": [{"token": text, "logprob": -0.5}]}


def whole(index: int, text: str, **message: Any) -> dict[str, Any]:
    """Return a choice in one piece."""
    return {
        "index": index,
        "message": {"role": "assistant", "content": text, **message},
        "finish_reason": "tool_calls" if "tool_calls" in message else "stop",
        "token_ids": [index, 7],
        "logprobs": {"content": [token(text[:1], 1), token(text[1:], 2)]},
    }


CHOICES = [whole(0, "ab", reasoning_content="hm", tool_calls=[CALL]), whole(1, "cd")]


def pieces(choice: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the pieces that a choice comes in."""
    index, message = choice["index"], choice["message"]
    text, calls = message["content"], message.get("tool_calls", [])
    tokens = choice["logprobs"]["content"]
    begun = [{**call, "index": 0, "function": {"name": "add", "arguments": '{"a"'}} for call in calls]
    more = [{"index": 0, "function": {"arguments": ": 1}"}} for _ in calls]
    return [
        {"index": index, "delta": {"role": "assistant", "content": ""}},
        {"index": index, "delta": {"reasoning_content": message.get("reasoning_content", "")}},
        *(
            {"index": index, "delta": {"content": text[n]}, "logprobs": {"content": [tokens[n]]},
             "token_ids": [choice["token_ids"][n]]} for n in (0, 1)
        ),
        *({"index": index, "delta": {"tool_calls": [call]}} for call in (*begun, *more)),
        {"index": index, "delta": {}, "finish_reason": choice["finish_reason"]},
    ]  # fmt: skip


async def says_all(exchange: Exchange) -> None:
    """Answer with as many choices as are asked for, whole or in pieces."""
    body = exchange.request.json()
    choices = CHOICES[: body.get("n", 1)]
    if not body.get("stream"):
        await exchange.answer(json.dumps({"choices": choices, "usage": USAGE, "model": "m"}).encode())
        return
    events = [piece for both in zip(*map(pieces, choices), strict=False) for piece in both]
    events += [
        piece for choice in choices for piece in pieces(choice)[min(len(pieces(c)) for c in choices) :]
    ]
    told = [{"choices": [piece], "model": "m"} for piece in events] + [{"choices": [], "usage": USAGE}]
    lines = b"".join(b"data: %s\n\n" % json.dumps(one).encode() for one in told)
    await exchange.answer(lines + b"data: [DONE]\n\n", 200, ("content-type: text/event-stream",))


ASKED: dict[str, Any] = {
    "tools": [TOOL],
    "logprobs": True,
    "top_logprobs": 1,
    "return_token_ids": True,
}


def timeless(response: Response) -> Response:
    """Return a response without its times."""
    return msgspec.structs.replace(response, timing=Timing())


def on_vllm(server: HttpServer, **keys: Any) -> LLM:
    """Return a model of a server in vLLM's form."""
    return LLM({"name": "m"}, engine={"kind": "vllm", "base_url": server.url("/v1")}, **keys)


@pytest.mark.parametrize("n", [1, 2])
def test_chunks_add_up_to_the_response_that_is_not_streamed(n: int) -> None:
    """Text, token ids, log probabilities, reasoning, calls, every choice; usage and reasons come last."""
    with HttpServer({CHAT: says_all}) as server, on_vllm(server, cache=False) as llm:
        at_once = llm.generate_sync("x", n=n, **ASKED)
        stream = llm.stream_sync("x", n=n, **ASKED)
        chunks = list(stream.chunks())

    assert timeless(stream.response) == timeless(at_once)
    summed = [msgspec.structs.replace(one, cumulative_logprob=-1.5) for one in added_up(chunks)]
    assert tuple(summed) == at_once.choices
    assert [chunk.text for chunk in chunks if chunk.index == 0 and chunk.text] == ["a", "b"]
    assert {chunk.index for chunk in chunks} == set(range(n))
    assert [chunk.usage for chunk in chunks if chunk.usage is not None] == [at_once.usage]
    assert chunks[-1].usage == at_once.usage
    calls = [call for chunk in chunks for call in chunk.tool_calls]
    assert [call["function"]["arguments"] for call in calls] == ['{"a"', ": 1}"]
    assert stream.response.timing.first_token is not None


def test_streamed_response_is_stored_as_any_other(lab: Lab) -> None:
    """Under the same key: neither a call nor an experiment pays again, and a stored one comes whole."""
    with HttpServer({CHAT: says_all}) as server:
        with on_vllm(server, sampling=ASKED) as llm:
            assert "".join(llm.stream_sync("x")) == "ab"
            stored = llm.generate_sync("x")
            again = llm.stream_sync("x")
            chunks = list(again.chunks())
            other = LLM({"name": "m"}, engine={"kind": "vllm", "base_url": server.url("/v1")}, sampling=ASKED)
            assert other.generate_sync("y").text == "ab"
            assert "".join(other.stream_sync("y")) == "ab"
        lab.rows([{"q": "x", "a": "ab"}])
        lab.run(engine={"kind": "vllm", "base_url": server.url("/v1")}, sampling=ASKED, scorers={})
        assert len(server.received) == 2

    assert again.response == stored
    assert [(chunk.text, chunk.finish_reason) for chunk in chunks] == [("ab", "tool_calls")]
    assert chunks[0].usage == stored.usage
    assert chunks[0].tool_calls == ({"index": 0, **CALL},)


def test_chunks_are_awaited_too() -> None:
    """In any loop, with the response at the end."""

    async def read() -> tuple[list[Chunk], Response]:
        async with LLM("fake:m") as llm, llm.stream("a b", n=2, logprobs=True) as stream:
            return [chunk async for chunk in stream.chunks()], stream.response

    chunks, response = asyncio.run(read())

    assert [chunk.text for chunk in chunks if chunk.index == 1] == ["a", " b", ""]
    summed = [msgspec.structs.replace(one, cumulative_logprob=0.0) for one in added_up(chunks)]
    assert tuple(summed) == response.choices


def test_text_of_several_choices_is_refused_with_the_other_way() -> None:
    """And its response is there once the stream has ended, not before."""
    with LLM("fake:m") as llm:
        with pytest.raises(ConfigError, match=r"n is 2\n.*\.chunks\(\)"):
            next(llm.stream_sync("x", n=2))
        stream = llm.stream_sync("x")
        with pytest.raises(RuntimeError, match="has not ended"):
            _ = stream.response
        assert list(stream) == ["x"]
        assert stream.response.text == "x"


def test_unfit_input_is_refused_where_the_stream_is_made() -> None:
    """Not with its first piece."""
    with LLM("fake:m") as llm, pytest.raises(ValueError, match="expected text"):
        llm.stream_sync(5)  # type: ignore[arg-type]


def test_stream_keeps_its_llm() -> None:
    """Whoever holds the stream alone reads it to its end."""
    assert "".join(LLM("fake:m").stream_sync("a b c")) == "a b c"
    assert [chunk.text for chunk in LLM("fake:m").stream_sync("a b").chunks()] == ["a", " b", ""]


def test_slow_reader_holds_up_no_equal_request() -> None:
    """Whoever asks the same while a stream is half read is answered from its response."""
    with HttpServer({CHAT: says_all}) as server, on_vllm(server) as llm:
        stream = llm.stream_sync("x")
        assert next(stream) == "a"
        assert llm.generate_sync("x").text == "ab"
        assert list(stream) == ["b"]
        assert len(server.received) == 1


def limited(exchange: Exchange) -> Awaitable[None]:
    """Refuse for now."""
    return exchange.answer(b"{}", 429, ("retry-after: 0",))


def test_stream_that_has_not_begun_is_retried() -> None:
    """As any request is; one of which text was seen is not."""
    with HttpServer({CHAT: in_turn(limited, says_all)}) as server, on_vllm(server) as llm:
        stream = llm.stream_sync("x")
        assert "".join(stream) == "ab"
        assert stream.response.timing.attempts == 2
    with HttpServer({CHAT: limited}) as server:
        engine = {"kind": "vllm", "base_url": server.url("/v1"), "max_attempts": 2}
        with (
            LLM({"name": "m"}, engine=engine) as llm,
            pytest.raises(RateLimitError, match="after 2 attempts"),
        ):
            list(llm.stream_sync("z"))


def test_stop_string_never_shows_in_a_chunk() -> None:
    """Though the server leaves it there, and it comes in two pieces."""
    said = [{"choices": [{"index": 0, "delta": {"content": text}}]} for text in ("one E", "ND two")]
    ended = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    lines = b"".join(b"data: %s\n\n" % json.dumps(one).encode() for one in [*said, ended])
    with HttpServer({CHAT: answers(lines)}) as server, on_vllm(server) as llm:
        stream = llm.stream_sync("x", stop=["END"])
        assert list(stream) == ["one "]
        assert stream.response.text == "one "


async def never(exchange: Exchange) -> None:
    """Never answer."""
    await exchange.stall()


async def begins(exchange: Exchange) -> None:
    """Begin to answer."""
    line = b'data: {"choices":[{"index":0,"delta":{"content":"4"}}]}\n\n'
    await exchange.send(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    await exchange.chunk(line)
    await exchange.stall()


LATE: dict[str, Callable[[LLM], object]] = {
    "generate_sync": lambda llm: llm.generate_sync("x", timeout=0.2),
    "generate": lambda llm: asyncio.run(llm.generate("x", timeout=0.2)),
    "batch": lambda llm: llm.batch(["x"], progress=False, timeout=0.2),
    "batch_async": lambda llm: asyncio.run(llm.batch_async(["x"], progress=False, timeout=0.2)),
    "stream": lambda llm: list(llm.stream_sync("x", timeout=0.2)),
    "embed": lambda llm: llm.embed_sync("x", timeout=0.2),
    "embed many": lambda llm: llm.embed_sync(["x"], timeout=0.2, progress=False),
    "score": lambda llm: llm.score_sync(("x", "y"), timeout=0.2),
    "classify": lambda llm: llm.classify_sync("x", timeout=0.2),
    "reward": lambda llm: llm.reward_sync("x", timeout=0.2),
    "rerank": lambda llm: llm.rerank_sync("x", ["y"], timeout=0.2),
    "loglikelihood": lambda llm: llm.loglikelihood_sync("x", ["y"], timeout=0.2),
}


@pytest.mark.parametrize("call", LATE)
def test_call_has_a_timeout_of_its_own(call: str) -> None:
    """It ends the request, retries included, and frees its place; nothing is stored."""
    with HttpServer(dict.fromkeys([CHAT, *endpoints()], never)) as server, on_vllm(server) as llm:
        with pytest.raises(RequestTimeoutError, match=r"no answer within timeout=0\.2 seconds"):
            LATE[call](llm)
        server.wait_until(lambda server: server.open == 0)
        assert len(server.received) == (2 if call == "loglikelihood" else 1)


def test_timeout_ends_a_stream_that_has_begun() -> None:
    """The text that came is no answer."""
    with HttpServer({CHAT: in_turn(begins, chats("next"))}) as server, on_vllm(server) as llm:
        stream = llm.stream_sync("x", timeout=0.5)
        assert next(stream) == "4"
        with pytest.raises(RequestTimeoutError, match=r"timeout=0\.5"):
            next(stream)
        assert llm.generate_sync("x").text == "next"


def test_timeout_is_not_part_of_the_key() -> None:
    """What was answered in time is found whatever the next call allows; a stored answer takes none."""
    with HttpServer({CHAT: in_turn(chats("a"), never)}) as server, on_vllm(server) as llm:
        assert llm.generate_sync("x", timeout=30).text == "a"
        assert llm.generate_sync("x").text == llm.generate_sync("x", timeout=1e-9).text == "a"
        assert len(server.received) == 1


def test_timeout_of_one_call_leaves_equal_ones_alone() -> None:
    """One that waits for another's answer gives up by itself."""

    async def ask() -> list[Any]:
        async with on_vllm(server) as llm:
            first = asyncio.ensure_future(llm.generate("x"))
            await server.until(lambda server: bool(server.received))
            late = await asyncio.gather(llm.generate("x", timeout=0.1), return_exceptions=True)
            release.set()
            return [*late, (await first).text, (await llm.generate("x")).text]

    release = threading.Event()

    async def held(exchange: Exchange) -> None:
        await asyncio.to_thread(release.wait)
        await chats("a")(exchange)

    with HttpServer({CHAT: held}) as server:
        late, *texts = asyncio.run(ask())
    assert isinstance(late, RequestTimeoutError)
    assert texts == ["a", "a"]
    assert len(server.received) == 1


@pytest.mark.parametrize("given", [0, -1, float("nan"), float("inf"), True, "5", [5]])
def test_timeout_that_is_no_time_is_refused(given: Any) -> None:
    """Before anything is sent."""
    with LLM("fake:m") as llm:
        for call in (llm.generate_sync, llm.stream_sync):
            with pytest.raises(ConfigError, match=r"timeout: .* given, expected seconds"):
                call("x", timeout=given)
        with pytest.raises(ConfigError, match=r"timeout: .* given, expected seconds"):
            llm.batch(["x"], timeout=given, progress=False)


def test_waiting_for_a_place_is_not_counted() -> None:
    """Of many inputs each has its time from when it is sent."""
    engine = {"kind": "fake", "latency": 0.3, "concurrency": 1}
    with LLM("fake:m", engine=engine) as llm:
        found = llm.batch(["a", "b", "c", "d"], timeout=0.9, progress=False)
    assert [one.text for one in found] == ["a", "b", "c", "d"]


def test_served_default_address_of_a_stream() -> None:
    """A stream asks for its usage, as engine.stream does."""
    with HttpServer({CHAT: says_all}) as server:
        with LLM({"name": "m"}, engine=served(server.url("/v1"))) as llm:
            list(llm.stream_sync("x"))
        assert server.received[0].json()["stream_options"] == {"include_usage": True}
