from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from runner.errors import ConfigError
from runner.prompts import PromptSource, SlotSource, TurnSource, resolve_prompt
from runner.spec import Prompt

if TYPE_CHECKING:
    from pathlib import Path


def turns(*declared: dict[str, Any]) -> PromptSource:
    return resolve_prompt(Prompt.model_validate({"turns": declared}), [])


def faults(*declared: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        turns(*declared)
    return {fault.place: fault.problem for fault in caught.value.faults}


def test_text_gets_one_slot() -> None:
    """System and user come first, then a slot named answer."""
    source = resolve_prompt(Prompt(user="{{ row.q }}", system="Be brief."), [])

    assert source.turns == (
        TurnSource("system", "Be brief.", "prompt.system", "prompt.system"),
        TurnSource("user", "{{ row.q }}", "prompt.user", "prompt.user"),
        SlotSource("answer"),
    )


def test_template_folder_is_read_whole(tmp_path: Path) -> None:
    """user.j2 and system.j2 are the turns, other templates their siblings; other files are none."""
    folder = tmp_path / "qa"
    folder.mkdir()
    for name in ("user.j2", "system.j2", "rubric.j2", "notes.txt"):
        (folder / name).write_text(f"text of {name} é", encoding="utf-8")

    source = resolve_prompt(Prompt(template="qa"), [tmp_path / "absent", tmp_path])
    assert source.turns == (
        TurnSource("system", "text of system.j2 é", "qa/system.j2", "prompt.template"),
        TurnSource("user", "text of user.j2 é", "qa/user.j2", "prompt.template"),
        SlotSource("answer"),
    )
    assert source.siblings == {"rubric.j2": "text of rubric.j2 é"}


@pytest.mark.parametrize(
    ("written", "text"),
    [(b"a", "a"), (b"a\n", "a"), (b"a\r\n", "a"), (b"a\n\n", "a\n"), (b"\n", ""), (b"a \n", "a ")],
)
def test_final_newline_of_a_template_file_is_dropped(tmp_path: Path, written: bytes, text: str) -> None:
    """One newline, however it is spelled, of user.j2 as of a file that it includes."""
    (tmp_path / "qa").mkdir()
    for name in ("user.j2", "part.j2"):
        (tmp_path / "qa" / name).write_bytes(written)

    source = resolve_prompt(Prompt(template="qa"), [tmp_path])
    assert isinstance(source.turns[0], TurnSource)
    assert (source.turns[0].source, source.siblings["part.j2"]) == (text, text)


@pytest.mark.parametrize("text", ["a\n", "a\n\n", "\n", " a "])
def test_text_of_a_prompt_keeps_its_white_space(text: str) -> None:
    """Only files lose a final newline: a text in YAML is what its author wrote."""
    source = resolve_prompt(Prompt(user=text, system=text), [])

    assert [turn.source for turn in source.turns if isinstance(turn, TurnSource)] == [text, text]


def test_first_template_folder_wins(tmp_path: Path) -> None:
    """A project's template hides a shipped one of the same name."""
    for place in ("project", "shipped"):
        (tmp_path / place / "qa").mkdir(parents=True)
        (tmp_path / place / "qa" / "user.j2").write_text(place, encoding="utf-8")

    source = resolve_prompt(Prompt(template="qa"), [tmp_path / "project", tmp_path / "shipped"])
    assert isinstance(source.turns[0], TurnSource)
    assert source.turns[0].source == "project"


def test_unknown_template_folder_names_the_nearest(tmp_path: Path) -> None:
    """A typing error is answered with the folder that was meant."""
    (tmp_path / "gsm8k").mkdir()

    with pytest.raises(ConfigError, match=r"(?s)no template folder 'gsm8'.*did you mean 'gsm8k'"):
        resolve_prompt(Prompt(template="gsm8"), [tmp_path])


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [("users.j2", b"x", r"(?s)has no user\.j2.*it holds: users\.j2"), ("user.j2", b"\xff", "is not UTF-8")],
)
def test_unusable_template_folder_is_refused(tmp_path: Path, file: str, content: bytes, message: str) -> None:
    """A folder without user.j2, or with bytes that are no text, is the user's mistake."""
    (tmp_path / "qa").mkdir()
    (tmp_path / "qa" / file).write_bytes(content)

    with pytest.raises(ConfigError, match=message):
        resolve_prompt(Prompt(template="qa"), [tmp_path])


def test_turns_keep_their_slots_and_sampling() -> None:
    """A slot has its name and the sampling values declared for it alone."""
    source = turns(
        {"user": "a"}, {"generate": "first"}, {"user": "b"}, {"generate": {"as": "x", "max_tokens": 9}}
    )

    assert [turn for turn in source.turns if isinstance(turn, SlotSource)] == [
        SlotSource("first"),
        SlotSource("x", {"max_tokens": 9}),
    ]


def test_turns_without_a_last_slot_get_one() -> None:
    """A conversation always ends with the model's answer."""
    assert turns({"user": "a"}).turns[-1] == SlotSource("answer")


def test_own_messages_get_one_slot() -> None:
    """Rows that carry their messages are answered once."""
    assert resolve_prompt(Prompt(messages="chat"), []) == PromptSource(
        (SlotSource("answer"),), messages="chat"
    )


def test_source_survives_json() -> None:
    """A job holds the prompt as plain JSON."""
    source = turns(
        {"system": "s"}, {"user": "a"}, {"generate": {"as": "x", "temperature": 0.5, "stop": ["a", "b"]}}
    )

    assert msgspec.json.decode(msgspec.json.encode(source), type=PromptSource) == source


def test_disordered_turns_are_refused_together() -> None:
    """Everything that makes no conversation is reported at once, each with its place."""
    found = faults(
        {"generate": "a"},
        {"generate": "b"},
        {"assistant": "c"},
        {"user": "d"},
        {"generate": "b"},
        {"generate": "row"},
    )

    assert found == {
        "prompt.turns.0": "generate comes before any message",
        "prompt.turns.1": "generate 'b' follows generate 'a' with no turn between",
        "prompt.turns.2": "an assistant turn follows generate 'b', which is the assistant's turn",
        "prompt.turns.4.generate": "two slots are named 'b'",
        "prompt.turns.5": "generate 'row' follows generate 'b' with no turn between",
        "prompt.turns.5.generate": "a slot can't be named 'row': it means something else in templates",
    }


@pytest.mark.parametrize("name", ["row", "steps", "loop", "in", "none", "True"])
def test_reserved_slot_name_is_refused(name: str) -> None:
    """A slot that a template couldn't name is refused."""
    assert "can't be named" in faults({"user": "a"}, {"generate": name})["prompt.turns.1.generate"]


def test_slot_named_answer_clashes_with_the_added_one() -> None:
    """The slot that is added at the end must not hide one of the user's."""
    found = faults({"user": "a"}, {"generate": "answer"}, {"user": "b"})

    assert found == {"prompt.turns.3.generate": "two slots are named 'answer'"}


def test_lines_of_a_template_end_as_everywhere(tmp_path: Path) -> None:
    """A file from Windows makes the same prompt."""
    (tmp_path / "qa").mkdir()
    (tmp_path / "qa" / "user.j2").write_bytes(b"\xef\xbb\xbfa\r\nb\rc\n")

    (turn, _) = resolve_prompt(Prompt(template="qa"), [tmp_path]).turns

    assert isinstance(turn, TurnSource)
    assert turn.source == "a\nb\nc"
