"""Conversations in which the model fills several places, on every real engine that chats."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from runner.commands.render import open_point
from runner.config import compose
from runner.engines.served_engine import ServedEngine
from runner.plan import make_plan
from runner.questions import OpenPoint, Question
from tests.contract.subjects import SETTINGS, TINY, Subject, messages

pytestmark = [pytest.mark.contract, pytest.mark.slow]

ROWS = [
    {"id": "stopped", "first": "37+48", "second": "reverse abcdefg"},
    {"id": "cut", "first": "reverse abc", "second": "reverse uvwxyz"},
    {"id": "ended", "first": "roll", "second": "12+30"},
]
OWN: dict[str, Any] = {"max_tokens": 5, "stop": ["d"]}
"""What counts for the second place alone."""


def _point(subject: Subject, folder: Path) -> OpenPoint:
    """Return an experiment of two places to fill, for the subject's kind of engine."""
    engine, model = {"kind": subject.kind.name, **SETTINGS[subject.kind.name]}, str(TINY)
    if isinstance(subject.engine, ServedEngine):
        engine, model = {"kind": subject.kind.name, "base_url": f"{subject.engine.address}/v1"}, "tiny"
    turns = [
        {"user": "{{ row.first }}"},
        {"generate": "first"},
        {"user": "You said: {{ first }}. Now {{ row.second }}"},
        {"generate": {"as": "second", **OWN}},
    ]
    declared = {
        "model": {"name": model},
        "engine": engine,
        "prompt": {"turns": turns},
        "dataset": {"path": "rows.jsonl"},
        "sampling": {"temperature": 0, "max_tokens": 20},
    }
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    (folder / "two.yaml").write_text(json.dumps(declared))
    (planned,) = make_plan(compose(folder / "two.yaml")).points
    return open_point(planned)


def _filled(subject: Subject, question: Question) -> list[tuple[str, str | None]]:
    """Have the engine fill every place of a row, and return what it wrote and why it ended."""
    while not question.complete:
        question.prepare()
        question.take(subject.ask(question.request)[0])
    slots = question.point.slots
    return [
        (text, question.finish.get(slot, "stop")) for slot, text in zip(slots, question.answers, strict=True)
    ]


def _by_hand(subject: Subject, first: str, second: str) -> list[tuple[str, str | None]]:
    """Ask the same in two requests."""
    turns = [{"role": "user", "content": first}]
    (one,) = subject.ask(messages(*turns, temperature=0.0, max_tokens=20))
    turns += [
        {"role": "assistant", "content": one.text},
        {"role": "user", "content": f"You said: {one.text}. Now {second}"},
    ]
    (two,) = subject.ask(messages(*turns, temperature=0.0, **OWN))
    return [(response.text, response.choices[0].finish_reason) for response in (one, two)]


@pytest.mark.parametrize("subject", tuple(SETTINGS), indirect=True)
def test_places_are_filled_in_turn_each_with_its_own_sampling(subject: Subject, tmp_path: Path) -> None:
    """As when each is asked by hand: later ones see what came before, and one's own values end it."""
    point = _point(subject, tmp_path)
    filled = {
        row.id: _filled(subject, question) for row in point.rows() for question in point.questions(row, [0])
    }

    assert filled == {row["id"]: _by_hand(subject, row["first"], row["second"]) for row in ROWS}
    assert filled["stopped"] == [("85", "stop"), ("gfe", "stop")]
    assert filled["cut"] == [("cba", "stop"), ("zyxwv", "length")]
    assert filled["ended"][1] == ("42", "stop")
