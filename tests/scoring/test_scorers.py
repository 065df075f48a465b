from __future__ import annotations

from time import process_time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from runner.errors import RowError, ScorerError
from runner.scoring.base import Score, Scorer
from runner.scoring.registry import scorer_kinds


def scorer(kind: str, **settings: Any) -> Scorer:
    declared = scorer_kinds()[kind]
    return declared.create(declared.settings.model_validate({"kind": kind, **settings}))


def test_every_kind_is_named_as_it_is_registered() -> None:
    """The name in the registry is the one that YAML says."""
    assert {name: kind.name for name, kind in scorer_kinds().items()} == {
        "exact_match": "exact_match",
        "regex": "regex",
        "numeric": "numeric",
        "loglikelihood": "loglikelihood",
    }


@pytest.mark.parametrize(
    ("settings", "text", "target", "score"),
    [
        ({}, " 42\n", "42", Score(1.0, "42")),
        ({}, "The 42", "42", Score(0.0, "The 42")),
        ({}, "Paris", "paris", Score(0.0, "Paris")),
        ({"strip": False}, "42 ", "42", Score(0.0, "42 ")),
        ({"ignore_case": True}, "STRASSE", "straße", Score(1.0, "strasse")),
        ({"ignore_punctuation": True}, "«Paris!»", "Paris", Score(1.0, "Paris")),
        ({"ignore_punctuation": True}, "GPT-4", "GPT4", Score(1.0, "GPT4")),
        ({"ignore_case": True}, "CAFE\u0301", "caf\u00e9", Score(1.0, "caf\u00e9")),
        ({"strip": False}, "a\u3000", "a ", Score(1.0, "a ")),
        ({}, "", "", Score(1.0, "")),
    ],
)
def test_exact_match_compares_whole_texts(
    settings: dict[str, Any], text: str, target: str, score: Score
) -> None:
    """Only what the settings leave out may differ."""
    assert scorer("exact_match", **settings).score(text, target) == score


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("3.5", "35"),
        ("3,5", "35"),
        ("-3", "3"),
        ("(-3)", "3"),
        ("\N{EN DASH}3", "3"),
        ("-$3", "$3"),
        ("-.5", "5"),
        (".5", "5"),
        ("3/4", "34"),
        ("12:30", "1230"),
        ("3-5", "35"),
        ("1e-5", "1e5"),
        ("10^5", "105"),
        ("50%", "50"),
        ("50 %", "50"),
        ("1.000", "1000"),
        ("1.2.3", "12.3"),
        ("12,34", "1234"),
        ("v1.2", "v12"),
        ("...", "!!!"),
        ("...", ""),
    ],
)
def test_ignoring_punctuation_never_makes_different_numbers_equal(one: str, other: str) -> None:
    """What numbers differ by is kept, and a text of punctuation alone is compared as it is."""
    exact = scorer("exact_match", ignore_punctuation=True)

    assert exact.score(one, other).value == exact.score(other, one).value == 0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1,000", "1000"),
        ("(3)", "3"),
        ("5.", "5"),
        ("'-3'", "-3"),
        ("1, 2", "1 2"),
        ("...", "..."),
        ("3 - x", "3 x"),
    ],
)
def test_ignoring_punctuation_keeps_equal_numbers_equal(one: str, other: str) -> None:
    """Commas between thousands and what surrounds a number are no part of it."""
    exact = scorer("exact_match", ignore_punctuation=True)

    assert exact.score(one, other).value == exact.score(other, one).value == 1


@pytest.mark.parametrize(
    ("kind", "pattern", "take"),
    [("regex", "^(a|aa)+$", "first"), ("regex", "(a|aa)+$", "last"), ("numeric", "^(a|aa)+$", "first")],
)
def test_a_pattern_runs_under_a_time_limit(kind: str, pattern: str, take: str) -> None:
    """A pattern that would take years fails its row, and says why."""
    start = process_time()

    with pytest.raises(
        ScorerError, match="took more than 2 s of processor time on an answer of 61 characters"
    ):
        scorer(kind, pattern=pattern, take=take).score("a" * 60 + "!", "1")
    assert process_time() - start < 60


@pytest.mark.parametrize(
    ("settings", "text", "score"),
    [
        ({"pattern": r"answer: (\w+)"}, "answer: B, answer: C", Score(1.0, "B")),
        ({"pattern": r"answer: (\w+)", "take": "last"}, "answer: B, answer: C", Score(0.0, "C")),
        ({"pattern": r"[A-D]"}, "(B)", Score(1.0, "B")),
        ({"pattern": r"is (\w)", "group": 0}, "is B", Score(0.0, "is B")),
        ({"pattern": r"(?P<why>.*)=(?P<it>.*)", "group": "it"}, "x = B ", Score(1.0, "B")),
        ({"pattern": r"ANSWER: (.)", "ignore_case": True}, "answer: b", Score(1.0, "b")),
        ({"pattern": r"no (\w)"}, "B", Score(0.0)),
        ({"pattern": r"x(B)?"}, "x", Score(0.0)),
        ({"pattern": r"is: (B)|(C)|\[(.)\]"}, "[B]", Score(1.0, "B")),
        ({"pattern": r"x(A)?(B)", "group": 1}, "xB", Score(0.0)),
        ({"pattern": "is: (.)"}, "is:\u00a0B", Score(1.0, "B")),
        ({"pattern": "is:\u2009(.)"}, "is:\u3000B", Score(1.0, "B")),
    ],
)
def test_regex_compares_what_it_finds(settings: dict[str, Any], text: str, score: Score) -> None:
    """The chosen group of the chosen match is the answer, without white space around it."""
    assert scorer("regex", **settings).score(text, " B ") == score


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pattern": "(a"}, r"invalid regular expression '\(a': .* 2"),
        ({"pattern": "a**"}, r"invalid regular expression 'a\*\*': .* 2"),
        ({"pattern": "(a)", "group": 2}, "group 2 is not in the pattern, which has 1 groups"),
        ({"pattern": "(?P<x>a)", "group": "y"}, "named groups: x"),
        ({}, "pattern"),
        ({"pattern": ""}, "pattern"),
    ],
)
def test_bad_pattern_is_refused_with_the_config(settings: dict[str, Any], message: str) -> None:
    """A pattern that can't work is found before anything runs, with the position."""
    with pytest.raises(ValidationError, match=message):
        scorer("regex", **settings)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("The answer is 42.", "42"),
        ("85.0", "85"),
        ("1,234,567.50 in all", "1234567.5"),
        ("36-85 = -49", "-49"),
        ("36-85", "85"),
        ("GPT-4", "4"),
        ("(3)-2", "2"),
        ("x=-7", "-7"),
        ("\N{MINUS SIGN}7", "-7"),
        ("+7", "7"),
        ("-$3", "-3"),
        ("$-3.20", "-3.2"),
        ("about .5", "0.5"),
        ("-.5", "-0.5"),
        ("No.5", "5"),
        ("...5", "5"),
        ("6.02e23", "602000000000000000000000"),
        ("1E-3", "0.001"),
        ("1e9999", "1E+9999"),
        ("1,2,3", None),
        ("12,3456", None),
        (r"\boxed{18}", "18"),
        ("-0.0", "0"),
        ("none", None),
        ("", None),
    ],
)
def test_numeric_takes_the_last_number(text: str, answer: str | None) -> None:
    """Numbers are read as they stand in running text, and equal ones are written alike."""
    assert scorer("numeric").score(text, "123456789").answer == answer


def test_numeric_can_take_the_first_number() -> None:
    """`take: first` is for answers that explain themselves afterwards."""
    assert scorer("numeric", take="first").score("5, because 2+3", "5") == Score(1.0, "5")


@pytest.mark.parametrize(
    ("tolerance", "text", "target", "value"),
    [
        (0, "85", "85.0", 1.0),
        (0, "0.3", "0.30000000000000001", 0.0),
        (0, "1,000", "1e3", 1.0),
        (0, "12345678901234567890123456789012345678", "12345678901234567890123456789012345679", 0.0),
        (0.1, "0.4", "0.3", 1.0),
        (0.1, "0.41", "0.3", 0.0),
        (2, "83", "the number 85.", 1.0),
        (1, "1e9999", "-1e9999", 0.0),
    ],
)
def test_numeric_compares_exactly(tolerance: float, text: str, target: str, value: float) -> None:
    """Decimals are compared as written, not as floats: 0.4 is within 0.1 of 0.3."""
    assert scorer("numeric", tolerance=tolerance).score(text, target).value == value


@pytest.mark.parametrize(("take", "counts"), [("last", "42"), ("first", "6")])
def test_numeric_takes_the_same_number_of_a_target(take: str, counts: str) -> None:
    """A target that is a whole solution, such as GSM8K's, is read as an answer is."""
    solution = "She buys 6 boxes of <<6*7=42>>42 eggs.\n#### 42"

    assert scorer("numeric", take=take).score(counts, solution).value == 1.0
    assert scorer("numeric", take=take).score("7", solution).value == 0.0


def test_numeric_target_without_a_number_fails_the_row() -> None:
    """A target that can't be right is an error that names it, not a wrong answer."""
    with pytest.raises(RowError, match="the target 'forty' holds no number"):
        scorer("numeric").score("40", "forty")


@settings(deadline=None)
@given(
    number=st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**12), max_value=10**12)
)
def test_numeric_reads_every_way_to_write_a_number(number: Any) -> None:
    """Plain, with thousands commas, in a sentence or with an exponent: it is one number."""
    numeric = scorer("numeric")

    for text in (f"{number}", f"{number:,}", f"It is {number:f}.", f"({number:E})"):
        assert numeric.score(text, str(number)).value == 1.0


@settings(deadline=None)
@given(text=st.text(st.sampled_from("0123456789.,eE+-$ a)"), max_size=30))
def test_numeric_never_fails_on_an_answer(text: str) -> None:
    """Whatever a model writes is scored."""
    assert scorer("numeric").score(text, "1").value in {0.0, 1.0}


@pytest.mark.parametrize("piece", ["a", ". ", "1,000 ", "1.", "-", "5%", "e\u0301", "\u00a0"])
@pytest.mark.parametrize("kind", ["exact_match", "regex"])
def test_long_texts_take_linear_time(kind: str, piece: str) -> None:
    """A megabyte is compared within seconds."""
    given = {"ignore_punctuation": True} if kind == "exact_match" else {"pattern": "(a)$|z"}
    start = process_time()

    scorer(kind, ignore_case=True, **given).score((piece * 10**6)[: 10**6], "x")

    assert process_time() - start < 60


@pytest.mark.parametrize("settings", [{}, {"ignore_punctuation": True}])
def test_combining_marks_without_end_take_no_long_time(settings: dict[str, Any]) -> None:
    """A model that repeats itself may write them; texts around them are still compared in NFC."""
    marks = "\u0301\u0323" * 50_000
    started = process_time()

    score = scorer("exact_match", **settings).score(f"a{marks} cafe\u0301", f"a{marks} caf\u00e9")

    assert score.value == 1.0
    assert process_time() - started < 2
