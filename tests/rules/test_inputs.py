"""Sampling that goes with messages: `continue_final_message` needs a begun answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from runner import LLM
from runner.config import compose
from runner.engines.input_rules import role_findings
from runner.errors import ConfigError, InputError
from runner.plan import make_plan
from tests.rules.rules_kit import SUBJECTS, Subject, refusals

GOES_ON = "continue_final_message"
USER = {"role": "user", "content": "1+1"}
BEGUN = {"role": "assistant", "content": "The sum is"}
CALLS = {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "function": {"name": "f"}}]}
CHATS = [one for one in SUBJECTS if GOES_ON in one.takes and one.variant != "bare"]
EVERY = pytest.mark.parametrize("subject", CHATS, ids=str)
TURNS: tuple[tuple[Any, bool], ...] = (
    ([USER], False),
    ([USER, BEGUN], True),
    (["1+1"], False),
    ([{"role": "system", "content": "x"}, "1+1"], False),
    ([BEGUN, USER], False),
    ([USER, CALLS], False),
    ([USER, {"role": "assistant", "content": " "}], False),
    ([USER, {"role": "assistant", "content": [{"type": "text", "text": "The"}]}], True),
    ([USER, CALLS, {"role": "tool", "content": "2", "tool_call_id": "c"}], False),
)
"""Messages, and whether an answer can go on from the last of them."""


def planned(subject: Subject, folder: Path, prompt: Any, goes_on: Any = True, **sampling: Any) -> Any:
    """Plan with rows of every kind of messages."""
    (folder / "conf").mkdir(exist_ok=True)
    rows = [{"id": str(number), "q": "1", "m": m, "go": True} for number, (m, _) in enumerate(TURNS)]
    rows.append({"id": "no", "q": "1", "m": [USER], "go": False})
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    declared = {
        "model": {"name": subject.model, "engine": subject.engine},
        "prompt": prompt,
        "dataset": "rows.jsonl",
        "sampling": {GOES_ON: goes_on, **sampling},
    }
    (folder / "case.yaml").write_text(json.dumps(declared))
    return make_plan(compose(folder / "case.yaml", ()))


@EVERY
def test_row_whose_last_message_is_not_begun_is_refused_alone(subject: Subject, tmp_path: Path) -> None:
    """Its own messages decide; a literal holds for all rows, a template for each."""
    bad = {str(number) for number, (_, begun) in enumerate(TURNS) if not begun}

    assert refusals(planned(subject, tmp_path, {"messages": "m"})).keys() == bad | {"no"}
    found = refusals(planned(subject, tmp_path, {"messages": "m"}, "{{ row.go }}"))
    assert found.keys() == bad
    assert found["0"].startswith("sampling.continue_final_message: the last message is not the assistant's")


@EVERY
@pytest.mark.parametrize(
    "prompt",
    [
        "{{ row.q }}",
        {"system": "Be brief.", "user": "{{ row.q }}"},
        {"turns": [{"user": "{{ row.q }}"}, {"generate": "a"}]},
        {
            "turns": [
                {"user": "x"},
                {"assistant": "The"},
                {"generate": "a"},
                {"user": "y"},
                {"generate": "b"},
            ]
        },
    ],
)
def test_prompt_that_ends_with_the_user_is_refused(subject: Subject, tmp_path: Path, prompt: Any) -> None:
    """The plan shows it already; where each row decides, the row is refused."""
    with pytest.raises(ConfigError, match="the last message is not the assistant's but the user's"):
        planned(subject, tmp_path, prompt)
    found = refusals(planned(subject, tmp_path, {"user": "{{ row.q }}"}, "{{ row.go }}"))
    assert found.keys() == set(map(str, range(len(TURNS))))


@EVERY
def test_slot_that_goes_on_is_planned(subject: Subject, tmp_path: Path) -> None:
    """Whether it says so itself or the experiment does; other slots have their own turn before them."""
    begun = {
        "turns": [{"user": "{{ row.q }}"}, {"assistant": "The"}, {"generate": {"as": "a", GOES_ON: True}}]
    }
    assert refusals(planned(subject, tmp_path, begun)) == {}
    assert refusals(planned(subject, tmp_path, begun, goes_on=False)) == {}
    later = {
        "turns": [
            {"user": "{{ row.q }}"},
            {"generate": "a"},
            {"user": "x"},
            {"generate": {"as": "b", GOES_ON: True}},
        ]
    }
    with pytest.raises(ConfigError, match=r"prompt\.turns\.b\.continue_final_message"):
        planned(subject, tmp_path, later, goes_on=False)


@EVERY
def test_call_whose_last_message_is_not_begun_is_refused(subject: Subject, tmp_path: Path) -> None:
    """Nothing is sent or started."""
    if subject.kind.missing(subject.kind.settings.model_validate(subject.engine)) is not None:
        pytest.skip(f"{subject.kind.name} is not installed")
    llm = LLM({"name": subject.model}, engine=subject.engine, project=tmp_path, cache=False)
    for turns, begun in TURNS:
        if not begun:
            with pytest.raises(InputError, match=GOES_ON):
                llm.generate_sync(turns, continue_final_message=True)


@pytest.mark.parametrize(
    "subject", [one for one in SUBJECTS if one.task == "chat" and "passthrough" in one.takes], ids=str
)
def test_engine_that_is_only_passed_it_is_no_other_matter(subject: Subject, tmp_path: Path) -> None:
    """A server behind `openai_compatible` may be vLLM."""
    if GOES_ON in subject.takes:
        with pytest.raises(ConfigError, match="it has a key of its own"):
            planned(subject, tmp_path, {"messages": "m"}, None, passthrough={GOES_ON: True})
        return
    bad = {str(number) for number, (_, begun) in enumerate(TURNS) if not begun}
    found = refusals(planned(subject, tmp_path, {"messages": "m"}, None, passthrough={GOES_ON: True}))
    assert found.keys() == bad | {"no"}
    with pytest.raises(
        ConfigError, match=r"sampling\.passthrough\.continue_final_message.*: the last message"
    ):
        planned(subject, tmp_path, "{{ row.q }}", None, passthrough={GOES_ON: True})
    each = "{{ {'continue_final_message': row.go} }}"
    assert refusals(planned(subject, tmp_path, {"messages": "m"}, None, passthrough=each)).keys() == bad


@pytest.mark.parametrize(
    ("given", "goes_on"),
    [(1, True), ("true", True), ("True", True), (0, False), ("false", False), (None, False)],
)
def test_passthrough_counts_as_servers_read_it(given: Any, goes_on: bool) -> None:
    """Their types take 1 and text for true, and so would send a user's message to be continued."""
    found = role_findings("user", {"passthrough": {GOES_ON: given}}, "chat")

    assert bool(found) == goes_on
