"""A tool call that was cut off reads otherwise in a stream, so that the stream counts in its key."""

from __future__ import annotations

import json
from typing import Any

import pytest

from runner import LLM
from tests.http_server import Exchange, HttpServer
from tests.work.work_kit import CHAT, Echo, Lab, served

_TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}
_HALF = '{"name": "add", "argum'
_TURNS = [{"user": "{{ row.q }}"}, {"generate": "plain"}, {"user": "and now"}]


class CutCalls:
    """A server whose parser meets half a call: text in one piece, part of the call in a stream."""

    def __init__(self) -> None:
        self.asked: list[bool] = []

    async def __call__(self, exchange: Exchange) -> None:
        streamed = bool(exchange.request.json().get("stream"))
        self.asked.append(streamed)
        call = {"index": 0, "id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a'}}
        said = {"tool_calls": [call]} if streamed else {"content": _HALF}
        choice = {"index": 0, "delta" if streamed else "message": said, "finish_reason": "length"}
        answer = json.dumps({"choices": [choice]})
        await exchange.answer(f"data: {answer}\n\ndata: [DONE]\n\n".encode() if streamed else answer.encode())


@pytest.fixture
def lab(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """A project with one row, which is the current folder."""
    monkeypatch.chdir(tmp_path)
    lab = Lab(tmp_path)
    lab.rows([{"q": "2+2", "a": "4"}])
    return lab


def test_streamed_tool_call_is_not_answered_by_one_in_one_piece(lab: Lab) -> None:
    """Each way is requested once, and finds its own answer again, from code too."""
    server = CutCalls()
    with HttpServer({CHAT: server}) as http:
        for stream in (False, True, False, True):
            lab.run(engine=served(http.url("/v1"), stream=stream), sampling={"tools": [_TOOL]})
        for stream in (False, True):
            with LLM({"name": "m"}, engine=served(http.url("/v1"), stream=stream)) as llm:
                answer = llm.generate_sync("2+2", tools=[_TOOL])
            assert (answer.text, answer.choices[0].tool_calls) == ("" if stream else _HALF, ())

    assert server.asked == [False, True]


def test_stream_counts_for_slots_with_tools_alone(lab: Lab) -> None:
    """The first slot has none, and its answer is found; the second's own tools count."""
    echo = Echo()
    turns = [*_TURNS, {"generate": {"as": "called", "tools": [_TOOL]}}]
    with HttpServer({CHAT: echo}) as http:
        for stream in (False, True):
            lab.run(engine=served(http.url("/v1"), stream=stream), prompt={"turns": turns})

    assert echo.asked == {"2+2": 1, "and now": 2}


@pytest.mark.parametrize("sampling", [{}, {"logprobs": True}, {"temperature": 0.5}])
def test_stream_is_no_part_of_other_keys(lab: Lab, sampling: dict[str, Any]) -> None:
    """What can't differ is shared."""
    keys = []
    for stream in (False, True):
        engine = {"kind": "fake", "stream": stream}
        run = lab.prepare(engine=engine, sampling=sampling, cache=False)
        keys.append(lab.work(run).lines()[0]["keys"])

    assert keys[0] == keys[1]
