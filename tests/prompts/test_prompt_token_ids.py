from __future__ import annotations

from typing import Any

import pytest

from runner.errors import ConfigError, RenderError
from runner.prompts import compile_prompt, resolve_prompt
from runner.spec import Prompt
from runner.values import Row


def ids(value: Any, template: str = "{{ row.ids }}", task: str = "complete") -> Any:
    """Return what is sent for a row that holds *value*."""
    prompt = resolve_prompt(Prompt.model_validate({"token_ids": template}), [])
    return compile_prompt(prompt, task).input(Row("r", 0, {"ids": value}), [])


@pytest.mark.parametrize("given", [[1, 2, 3], (1, 2, 3), ["1", "2", "3"], "[1, 2, 3]", "1 2 3"])
def test_token_ids_of_a_column_are_the_prompt(given: Any) -> None:
    """A list as it is, and the text that a CSV file has of it."""
    assert ids(given) == (1, 2, 3)


def test_token_ids_may_be_computed() -> None:
    """What a filter gives one after another is a list of them."""
    assert ids(["1", "2"], "{{ row.ids | map('int') }}") == (1, 2)


@pytest.mark.parametrize(
    "given",
    ["a b", [1, None], 7, [1.9, 2.2, True], {"5": 1}, [-3], "-3", "+3", [], "", [2**63], "9" * 5000, b"ab"],
)
def test_other_values_fail_their_row(given: Any) -> None:
    """None is rounded, cut or wrapped into one; the message says what was expected."""
    with pytest.raises(RenderError, match="expected a list of whole numbers from 0"):
        ids(given)


def test_token_ids_are_no_chat() -> None:
    """A chat template has nothing to do with them."""
    with pytest.raises(ConfigError, match="task chat takes no token ids"):
        ids([1], task="chat")


def test_unknown_name_is_refused() -> None:
    """As in every template."""
    with pytest.raises(ConfigError, match=r"prompt\.token_ids: .*unknown name 'rwo'"):
        ids([1], "{{ rwo.ids }}")


def test_answer_that_goes_on_from_a_beginning_is_one_message_later() -> None:
    """With continue_final_message an assistant's turn is a beginning, and the slot its end."""
    turns = [
        {"user": "1+1"},
        {"assistant": "The answer is "},
        {"generate": "first"},
        {"user": "Sure?"},
        {"generate": "second"},
    ]
    conversation = compile_prompt(resolve_prompt(Prompt.model_validate({"turns": turns}), []), "chat")
    row = Row("r", 0, {})

    begun, going_on = conversation.input(row, []), conversation.input(row, ["2"])
    assert isinstance(begun, tuple)
    assert isinstance(going_on, tuple)
    assert begun[-1] == {"role": "assistant", "content": "The answer is "}
    assert going_on[1:] == (
        {"role": "assistant", "content": "The answer is 2"},
        {"role": "user", "content": "Sure?"},
    )
