"""model.omit: what a model doesn't take isn't in the body of any request, and the plan says so."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from runner.config import compose
from runner.errors import ConfigError
from runner.plan import make_plan
from tests.http_server import HttpServer
from tests.work.work_kit import CHAT, Echo, Lab

SAMPLING = {"temperature": 0.5, "top_p": 0.9, "seed": 3}
TURNS = {
    "turns": [
        {"user": "{{ row.q }}"},
        {"generate": {"as": "first", "top_p": 0.3, "max_tokens": 7}},
        {"user": "{{ first }}, you said"},
        {"generate": {"as": "second", "seed": 5}},
    ]
}


@pytest.fixture
def server(echo: Echo) -> Iterator[HttpServer]:
    with HttpServer({CHAT: echo}) as served:
        yield served


def bodies(lab: Lab, server: HttpServer, *omitted: str, **keys: Any) -> list[dict[str, Any]]:
    """Run one row on a model that omits parameters; return what was sent, less model and messages."""
    lab.rows([{"q": "1", "a": "1"}])
    lab.run(
        model={"name": "m", "omit": list(omitted)},
        engine={"kind": "openai_compatible", "base_url": server.url("/v1")},
        sampling=SAMPLING,
        **keys,
    )
    sent: list[dict[str, Any]] = [json.loads(one.body) for one in server.received]
    return [{name: body[name] for name in body.keys() - {"model", "messages"}} for body in sent]


def test_what_a_model_omits_is_not_sent(lab: Lab, server: HttpServer) -> None:
    """Neither the experiment's own value nor the default that would stand in for it."""
    assert bodies(lab, server, "top_p", "seed") == [{"temperature": 0.5}]


def test_default_that_a_model_omits_is_not_sent(lab: Lab, server: HttpServer) -> None:
    """Left out, temperature and top_p are sent at their neutral values, but for a model that omits them."""
    lab.rows([{"q": "1", "a": "1"}])
    engine = {"kind": "openai_compatible", "base_url": server.url("/v1")}

    lab.run(engine=engine)
    lab.run(engine=engine, model={"name": "m", "omit": ["top_p"]})

    plain, omitting = (json.loads(one.body) for one in server.received)
    assert (plain["top_p"], plain["temperature"]) == (1.0, 1.0)
    assert "top_p" not in omitting
    assert omitting["temperature"] == 1.0


def test_what_nothing_omits_is_sent(lab: Lab, server: HttpServer) -> None:
    """The same experiments without the key send every value, a slot's own in place of the whole's."""
    assert bodies(lab, server, prompt=TURNS, scorers={}) == [
        {"temperature": 0.5, "top_p": 0.3, "seed": 3, "max_tokens": 7},
        {"temperature": 0.5, "top_p": 0.9, "seed": 5},
    ]


def test_what_a_model_omits_is_not_sent_for_a_slot(lab: Lab, server: HttpServer) -> None:
    """A slot's own value is left out as the experiment's is."""
    assert bodies(lab, server, "top_p", "seed", prompt=TURNS, scorers={}) == [
        {"temperature": 0.5, "max_tokens": 7},
        {"temperature": 0.5},
    ]


def noted(lab: Lab, *omitted: str, **keys: Any) -> tuple[str, ...]:
    """Return the notes of a plan for a model that omits parameters."""
    declared = {
        "model": {"name": "m", "omit": list(omitted)},
        "engine": {"kind": "openai_compatible", "base_url": "http://localhost:1/v1"},
        "prompt": "{{ row.q }}",
        "dataset": "rows.jsonl",
        **keys,
    }
    lab.rows([{"q": "1"}])
    file = lab.folder / "omits.yaml"
    file.write_text(json.dumps(declared))
    return make_plan(compose(file, ())).points[0].notes


def test_plan_notes_what_is_not_sent(lab: Lab) -> None:
    """For the experiment's values by their place, for a slot's own by its name; not for what nobody gave."""
    assert noted(lab, "top_p", "min_p", sampling=SAMPLING) == (
        "sampling.top_p: not sent, the model omits it",
    )
    assert noted(lab, "top_p", "seed", prompt=TURNS) == (
        "prompt.turns.first.top_p: not sent, the model omits it",
        "prompt.turns.second.seed: not sent, the model omits it",
    )


def test_unknown_name_is_refused(lab: Lab) -> None:
    """A slip of the pen would send what the model can't take."""
    with pytest.raises(
        ConfigError,
        match=r"model\.omit \(omits\.yaml:1\): top_pp is no sampling parameter\n +did you mean top_p",
    ):
        noted(lab, "top_pp")
