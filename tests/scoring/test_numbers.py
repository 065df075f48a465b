from __future__ import annotations

from time import process_time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.scoring.base import Scorer
from runner.scoring.numbers import first_number, last_number, numbers_within, written
from runner.scoring.registry import scorer_kinds
from tests.scoring.numbers_cases import READINGS

LONG = 10**6


def numeric(**given_settings: Any) -> Scorer:
    kind = scorer_kinds()["numeric"]
    return kind.create(kind.settings.model_validate({"kind": "numeric", **given_settings}))


@pytest.mark.parametrize(("text", "expected"), READINGS, ids=ascii)
def test_numbers_are_read_whole_or_not_at_all(text: str, expected: str | list[str]) -> None:
    """A text's numbers are those that a reader would call numbers, and never a part of one."""
    found = [written(number.value()) for number in numbers_within(text, 0, len(text))]

    assert (found[-1:] == [expected]) if isinstance(expected, str) else (found == expected)


@pytest.mark.parametrize("text", [text for text, _ in READINGS], ids=ascii)
def test_first_and_last_agree_with_all_numbers(text: str) -> None:
    """Whichever end a text is read from, its numbers are the same."""
    numbers = [number.value() for number in numbers_within(text, 0, len(text))]
    first, last = first_number(text), last_number(text)

    assert [one.value() for one in (first, last) if one] == [*numbers[:1], *numbers[-1:]]


@pytest.mark.parametrize("before", ["1 2 ", "x ", "\\frac{1}{2} ", "word\n"])
def test_the_last_number_of_a_long_text_is_read_whole(before: str) -> None:
    """Long texts are read from the end, in pieces that never cut the number."""
    for shift in range(12):
        found = last_number(before * 2000 + "-12,345.5" + " " * (4096 - shift))
        assert found is not None
        assert written(found.value()) == "-12345.5"


@pytest.mark.parametrize(
    "piece",
    [
        "1",
        "1 ",
        "1,",
        "1.",
        "1:",
        "1-",
        "1(",
        "1_1",
        "12 500 ",
        "1/2 ",
        "9^9 ",
        "1e9999 ",
        "1**",
        "1x",
        "a",
        "a1",
        "x^",
        "^",
        "^{",
        "_{",
        "{",
        "}",
        "\\frac{",
        "\\frac{1}",
        "\\sqrt{",
        "\\sqrt[",
        "(",
        "-",
        "$",
        " ",
        "May 5 ",
        "½",
        "½x",
        "1²",
        "5万",
        "10^{5}",
        "\\text{",
        "<sup>",
    ],
)
def test_long_answers_take_linear_time(piece: str) -> None:
    """A megabyte of anything takes seconds at most, as it is read on the event loop."""
    text = (piece * LONG)[:LONG]
    start = process_time()

    last_number(text)
    first_number(text)

    assert process_time() - start < 10


@pytest.mark.parametrize("number", ["1,234.5", "-½", "2 million", "12 500"])
@pytest.mark.parametrize("shift", range(0, 24, 5))
def test_the_first_number_of_a_long_text_is_read_whole(number: str, shift: int) -> None:
    """Long texts are read from the start, in pieces that never cut the number."""
    found = first_number("x" * (512 - shift) + f" {number} and 7" + " x" * 5000)

    alone = first_number(number)
    assert found is not None
    assert alone is not None
    assert found.value() == alone.value()


@pytest.mark.parametrize(
    ("percent", "answer", "target", "value"),
    [
        ("value", "50%", "50", 1.0),
        ("value", "50%", "0.5", 0.0),
        ("fraction", "50%", "0.5", 1.0),
        ("fraction", "50 \\%", "1/2", 1.0),
        ("fraction", "5 percent", "0.05", 1.0),
        ("fraction", "5‰", "0.005", 1.0),
        ("fraction", "0.5", "50%", 1.0),
        ("fraction", "50", "50%", 0.0),
    ],
)
def test_percent_says_what_a_percent_sign_means(percent: str, answer: str, target: str, value: float) -> None:
    """50% is 50, or with `percent: fraction` a half, in answers and targets."""
    assert numeric(percent=percent).score(answer, target).value == value


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Answer: 5, checked 9 times", "5"),
        ("Answer: 3.5", "3.5"),
        ("Answer: $1,200 (of 3)", "1200"),
        ("Answer: -7", "-7"),
        ("Answer: 3,5", None),
        ("9", None),
    ],
)
def test_a_pattern_says_where_to_look(text: str, answer: str | None) -> None:
    """Only numbers that lie within what the pattern found count."""
    assert numeric(pattern=r"Answer: (\S+)").score(text, "5").answer == answer


@pytest.mark.parametrize(
    ("text", "answer"), [("is 3.5", None), ("is 35", "35"), ("is 3/4", None), ("is 5%", "5")]
)
def test_a_pattern_never_cuts_a_number(text: str, answer: str | None) -> None:
    r"""``(\d+)`` finds 3 in 3.5, which is no number there."""
    found = numeric(pattern=r"is (\d+)%?").score(text, "5").answer

    assert found == answer


def test_a_pattern_takes_the_last_match_and_its_first_group_that_took_part() -> None:
    """`take` chooses the match, then the number within it."""
    scorer = numeric(pattern=r"A: (\d+)|B: (.*)")

    assert scorer.score("A: 1\nB: 2 or 3", "3").answer == "3"
    assert numeric(pattern=r"A: (\d+)|B: (.*)", take="first").score("B: 2 or 3\nA: 1", "3").answer == "2"


@settings(deadline=None)
@given(text=st.text(max_size=40))
def test_any_text_can_be_read(text: str) -> None:
    """Whatever a model writes has a last number, or none."""
    number = last_number(text)

    assert number is None or written(number.value())


@settings(deadline=None, max_examples=500)
@given(text=st.text(st.sampled_from("0123456789.,'_/^{}\\frac()-−+$€% \u00a0xe×½²₂"), max_size=25))  # noqa: RUF001
def test_any_text_of_number_signs_can_be_read(text: str) -> None:
    """No combination of signs is too odd."""
    number = last_number(text)

    assert number is None or written(number.value(percent=True))
