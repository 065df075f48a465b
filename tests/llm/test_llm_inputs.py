"""Values that aren't quite what JSON has."""

from __future__ import annotations

import enum
import json
from typing import Any

import pytest

from tests.llm.test_llm_calls import sent

pytestmark = pytest.mark.usefixtures("lab")


class Word(str, enum.Enum):  # noqa: UP042 - one whose own text is another
    """Text of another type."""

    HI = "Hi"


class Real(float):
    """A number of another type, as NumPy's are."""


@pytest.mark.parametrize(
    "given",
    [
        Word.HI,
        [Word.HI],
        [{"role": "user", "content": Word.HI}],
        [{"role": "user", "content": [Word.HI]}],
        [{"role": "user", "content": [{"type": "text", "text": Word.HI}]}],
    ],
)
def test_subclasses_of_text_and_numbers_are_what_they_stand_for(given: Any) -> None:
    """NumPy's text and an enum's are asked with as their plain values, wherever they stand."""
    body = sent(given, temperature=Real(0.5), stop=Word.HI)

    assert "Hi" in json.dumps(body["messages"])
    assert (body["temperature"], body["stop"]) == (0.5, ["Hi"])


def test_bias_is_declared_by_token_id_and_sent_by_text() -> None:
    """JSON has no other keys, and the request's key is made of JSON."""
    assert sent("x", logit_bias={5: 1.0, 10: 2})["logit_bias"] == {"5": 1.0, "10": 2.0}
