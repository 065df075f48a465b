"""What a row fills in wrongly costs that row alone: `plan` shows it, `run` sends the others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.commands.conftest import MakeProject
from tests.http_server import HttpServer, chats

CHAT = "/v1/chat/completions"
COLUMNS = ("temperature", "n", "min_tokens", "max_tokens", "use_beam_search", "prompt_logprobs", "top_p")
EMPTY: dict[str, Any] = dict.fromkeys(COLUMNS)
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "hot": ({"temperature": 3}, "sampling.temperature: 3: engine vllm takes values up to 2"),
    "greedy": ({"temperature": 0, "n": 2}, "sampling.n: 2: vLLM gives one greedy choice"),
    "long": ({"min_tokens": 9, "max_tokens": 3}, "sampling.min_tokens: 9: more than max_tokens, which is 3"),
    "beams": ({"use_beam_search": True, "top_p": 0.5}, "sampling.top_p: beam search leaves it unread"),
    "cold": ({"temperature": -1}, "sampling.temperature: "),
    "streamed": ({"prompt_logprobs": 1}, "engine.stream: engine vllm can't stream with prompt_logprobs"),
}


def experiment(address: str, **engine: Any) -> str:
    """Return an experiment of which every sampling value is a row's."""
    declared = {
        "model": {"name": "m", "engine": {"kind": "vllm", "base_url": address, **engine}},
        "prompt": "{{ row.question }}",
        "dataset": "rows.jsonl",
        "sampling": {name: f"{{{{ row.{name} }}}}" for name in COLUMNS},
        "cluster": "inline",
    }
    return json.dumps(declared)


def rows(bad: dict[str, tuple[dict[str, Any], str]]) -> str:
    """Return a dataset with one good row and the bad ones."""
    given = {"good": {"temperature": 0.5}} | {name: values for name, (values, _) in bad.items()}
    return "".join(
        json.dumps({"id": name, "question": name, **EMPTY, **values}) + "\n" for name, values in given.items()
    )


def test_each_row_that_is_filled_wrongly_fails_alone(project: MakeProject) -> None:
    """With the class and the message of its own fault; the server sees the good row only."""
    bad = {name: BAD[name] for name in BAD if name != "streamed"}
    with HttpServer({CHAT: chats("2")}) as server:
        made = project({"sums.yaml": experiment(server.url("/v1")), "rows.jsonl": rows(bad)})

        planned = made.ran("plan", "sums.yaml")
        assert server.received == []
        made.ran("run", "sums.yaml", code=3)
        asked = [request.json() for request in server.received if request.body]

    for _, problem in bad.values():
        assert problem in " ".join(planned.out.split())
    assert [body["messages"][-1]["content"] for body in asked] == ["good"]
    (results,) = Path(made.root / "runs").glob("*/*/points/*/results.jsonl")
    lines = {line["id"]: line for line in map(json.loads, results.read_text().splitlines())}
    for name, (_, problem) in bad.items():
        assert lines[name]["error"]["kind"] == "RenderError"
        assert lines[name]["error"]["message"].startswith(problem)
    assert "error" not in lines["good"]


def test_row_with_which_answers_come_at_once_fails_where_they_are_to_stream(project: MakeProject) -> None:
    """The others stream."""
    made = project({
        "sums.yaml": experiment("http://127.0.0.1:9/v1", stream=True),
        "rows.jsonl": rows({"streamed": BAD["streamed"]}),
    })

    planned = made.ran("plan", "sums.yaml")

    assert BAD["streamed"][1] in " ".join(planned.out.split())


@pytest.mark.parametrize("command", ["plan", "run", "render"])
def test_experiment_of_which_no_row_is_filled_rightly_is_refused(project: MakeProject, command: str) -> None:
    """Nothing is launched, and no run is left behind."""
    text = "".join(
        json.dumps({"id": str(n), "question": "1", **EMPTY, "temperature": 3}) + "\n" for n in range(3)
    )
    made = project({"sums.yaml": experiment("http://127.0.0.1:9/v1"), "rows.jsonl": text})

    outcome = made.ran(command, "sums.yaml", code=2)

    assert "sampling.temperature: 3: engine vllm takes values up to 2" in " ".join(
        (outcome.out + outcome.err).split()
    )
    assert not (made.root / "runs").exists()


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_render_shows_messages_that_an_answer_cannot_go_on_from(
    project: MakeProject, form: list[str]
) -> None:
    """The row's messages and its sampling don't go together."""
    text = json.dumps({
        "model": {"name": "m", "engine": {"kind": "vllm", "base_url": "http://127.0.0.1:9/v1"}},
        "prompt": {"messages": "m"},
        "dataset": "rows.jsonl",
        "sampling": {"continue_final_message": "{{ row.go }}"},
    })
    user, begun = {"role": "user", "content": "1+1"}, {"role": "assistant", "content": "It is"}
    made_rows = [{"id": "a", "m": [user], "go": True}, {"id": "b", "m": [user, begun], "go": True}]
    made = project({"sums.yaml": text, "rows.jsonl": "".join(json.dumps(row) + "\n" for row in made_rows)})

    outcome = made.ran("render", "sums.yaml", *form)

    assert outcome.out.count("the last message is not the assistant's but the user's") == 1
