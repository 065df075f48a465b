from __future__ import annotations

from collections import Counter
from itertools import combinations
from statistics import fmean, stdev

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.scoring.base import Score
from runner.scoring.metrics import (
    FAILED,
    Failed,
    Metrics,
    check_report,
    majority_at,
    mean,
    pass_at,
    wilson,
)

RIGHT, WRONG = Score(1.0, "a"), Score(0.0, "b")

samples = st.lists(st.sampled_from([RIGHT, WRONG, Score(0.0, "c"), Score(0.0)]), min_size=1, max_size=7)


@settings(deadline=None)
@given(scores=samples, data=st.data())
def test_pass_at_k_is_the_share_of_subsets_with_a_right_sample(
    scores: list[Score], data: st.DataObject
) -> None:
    """The closed form equals counting all subsets of k samples."""
    k = data.draw(st.integers(1, len(scores)))
    subsets = [any(score.value >= 1 for score in subset) for subset in combinations(scores, k)]

    assert pass_at(k, scores) == pytest.approx(fmean(subsets), abs=1e-12)


@settings(deadline=None)
@given(scores=samples, data=st.data())
def test_majority_at_k_is_the_score_of_the_most_frequent_answer(
    scores: list[Score], data: st.DataObject
) -> None:
    """Counting the answers of the first k samples gives the same; ties go to the earliest."""
    k = data.draw(st.integers(1, len(scores)))
    first = scores[:k]
    counts = Counter(score.answer for score in first if score.answer is not None)
    winner = min(counts, key=lambda a: (-counts[a], [s.answer for s in first].index(a)), default=None)

    assert majority_at(k, scores) == next(score.value for score in first if score.answer == winner)


def test_majority_ignores_samples_in_which_nothing_was_found() -> None:
    """Two that found nothing don't outvote one answer."""
    assert majority_at(3, [Score(0.0), RIGHT, Score(0.0)]) == 1.0


def test_partial_credit_is_no_pass() -> None:
    """Only a score of 1 is right for pass@k."""
    assert pass_at(1, [Score(0.9), Score(1.0)]) == 0.5


def test_pass_at_k_is_exact_for_many_samples() -> None:
    """Nothing overflows for thousands of samples."""
    assert pass_at(1000, [RIGHT] + [WRONG] * 4999) == pytest.approx(0.2, rel=1e-12)


def test_samples_without_a_score_are_left_out() -> None:
    """A row counts only where it has what the metric needs."""
    assert mean([RIGHT, None, WRONG]) == 0.5
    assert mean([None]) is None
    assert pass_at(2, [RIGHT, None]) is None
    assert pass_at(1, [RIGHT, None]) == 1.0
    assert majority_at(2, [RIGHT, None, WRONG]) is None
    assert majority_at(1, [RIGHT, None]) == 1.0


rows = st.lists(st.lists(st.none() | st.builds(Score, st.floats(0, 1)), min_size=3, max_size=3), max_size=20)


@settings(deadline=None)
@given(table=rows)
def test_mean_averages_within_a_row_first(table: list[list[Score | None]]) -> None:
    """Value and standard error are those of the rows' means, however the rows come."""
    metrics = Metrics(["mean"], samples=3)
    for index, scores in enumerate(table):
        metrics.add(str(index), scores)

    means = [fmean(given) for scores in table if (given := [s.value for s in scores if s is not None])]
    found = metrics.result()["mean"]
    assert found["rows"] == len(means)
    assert found["value"] == (pytest.approx(fmean(means), abs=1e-12) if means else None)
    expected = pytest.approx(stdev(means) / len(means) ** 0.5, abs=1e-9) if len(means) > 1 else None
    assert found["stderr"] == expected


def test_metrics_of_many_equal_rows_have_no_error() -> None:
    """Sums stay exact where a naive sum of squares would not."""
    metrics = Metrics(["mean"])
    for _ in range(100_000):
        metrics.add("r", [Score(0.1)])

    assert metrics.result()["mean"] == {"value": 0.1, "stderr": 0.0, "rows": 100_000}


def test_report_is_what_was_asked_for() -> None:
    """Every metric is under its name, in the order given."""
    metrics = Metrics(["pass@2", "mean", "majority@3"], samples=3)
    metrics.add("one", [RIGHT, WRONG, WRONG])
    metrics.add("two", [RIGHT, RIGHT, None])

    assert metrics.result() == {
        "pass@2": {"value": pytest.approx(5 / 6), "stderr": pytest.approx(1 / 6), "rows": 2},
        "mean": {"value": pytest.approx(2 / 3), "stderr": pytest.approx(1 / 3), "rows": 2},
        "majority@3": {
            "value": 0.0,
            "stderr": None,
            "rows": 1,
            "ci95": (0.0, pytest.approx(0.793451, abs=1e-6)),
            "ci_method": "wilson",
        },
    }


@pytest.mark.parametrize(
    ("right", "rows", "low", "high"),
    [
        # Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_interval_is_the_published_one(right: int, rows: int, low: float, high: float) -> None:
    """The bounds are those of a paper that compares seven methods, to its four digits."""
    assert wilson(right, rows) == pytest.approx((low, high), abs=5e-5)


@settings(deadline=None)
@given(rows=st.integers(1, 10**6), data=st.data())
def test_wilson_interval_solves_its_equation(rows: int, data: st.DataObject) -> None:
    """Each bound is the share from which the seen one lies 1.96 standard errors away, and lies in [0, 1]."""
    right = data.draw(st.integers(0, rows))
    low, high = wilson(right, rows)

    assert 0 <= low <= right / rows <= high <= 1
    for bound in (low, high):
        reach = 1.959963984540054 * (bound * (1 - bound) / rows) ** 0.5
        assert abs(right / rows - bound) == pytest.approx(reach, abs=1e-8)


@pytest.mark.parametrize(
    ("metric", "rows", "has_interval"),
    [
        ("mean", [[RIGHT], [WRONG]], True),
        ("mean", [[RIGHT, RIGHT], [WRONG, WRONG]], True),
        ("mean", [[RIGHT, WRONG], [WRONG, WRONG]], False),
        ("mean", [[Score(0.5)], [RIGHT]], False),
        ("pass@2", [[RIGHT, WRONG], [WRONG, WRONG]], True),
        ("pass@1", [[RIGHT, WRONG], [WRONG, WRONG]], False),
        ("majority@2", [[RIGHT, WRONG], [WRONG, WRONG]], True),
    ],
)
def test_interval_is_of_rows_that_are_right_or_wrong(
    metric: str, rows: list[list[Score | None]], has_interval: bool
) -> None:
    """A row whose value lies between 0 and 1 leaves the standard error alone."""
    metrics = Metrics([metric], samples=len(rows[0]))
    for index, scores in enumerate(rows):
        metrics.add(str(index), scores)

    found = metrics.result()[metric]
    assert ("ci95" in found, "ci_method" in found) == (has_interval, has_interval)
    assert found["stderr"] is not None


FAILING: list[list[Score | Failed | None]] = [
    [RIGHT, RIGHT, FAILED],
    [FAILED, FAILED, FAILED],
    [None, None, None],
]


def test_failed_samples_are_left_out() -> None:
    """By default a row counts by the samples that did not fail, and says how many did."""
    metrics = Metrics(["mean", "pass@2", "majority@3"], samples=3)
    for index, scores in enumerate(FAILING):
        metrics.add(str(index), scores)

    found = metrics.result()
    assert {name: (one["value"], one["rows"]) for name, one in found.items()} == {
        "mean": (1, 1),
        "pass@2": (1, 1),
        "majority@3": (None, 0),
    }
    assert {(one["failed"], one["failed_rows"]) for one in found.values()} == {(4, "exclude")}


def test_failed_samples_count_as_wrong() -> None:
    """With failed_rows wrong they score 0 in every metric; samples that are missing still don't count."""
    metrics = Metrics(["mean", "pass@2", "majority@3"], samples=3, failed_rows="wrong")
    for index, scores in enumerate(FAILING):
        metrics.add(str(index), scores)

    found = metrics.result()
    assert {name: (one["value"], one["rows"]) for name, one in found.items()} == {
        "mean": (pytest.approx(1 / 3), 2),
        "pass@2": (pytest.approx(1 / 2), 2),
        "majority@3": (pytest.approx(1 / 2), 2),
    }
    assert {(one["failed"], one["failed_rows"]) for one in found.values()} == {(4, "wrong")}


def test_metrics_without_rows_have_no_value() -> None:
    """Nothing to report is not zero."""
    assert Metrics(["mean"]).result() == {"mean": {"value": None, "stderr": None, "rows": 0}}


@pytest.mark.parametrize(
    ("report", "problems"),
    [
        (("mean", "pass@5", "majority@5"), []),
        (("meen",), ["unknown metric 'meen' (did you mean 'mean'? known: mean, pass@k, majority@k)"]),
        (("pass@0",), ["unknown metric 'pass@0' (did you mean 'pass@k'? known: mean, pass@k, majority@k)"]),
        (("mean", "mean"), ["'mean' is reported more than once"]),
    ],
)
def test_report_is_checked_before_anything_runs(report: tuple[str, ...], problems: list[str]) -> None:
    """Whatever is wrong is all named."""
    assert check_report(report) == problems


def test_metric_that_needs_more_samples_than_there_are_is_left_out() -> None:
    """Nothing is said of it, rather than that it has no value."""
    assert list(Metrics(["mean", "pass@1", "pass@3", "majority@3"], samples=2).result()) == ["mean", "pass@1"]


def test_metrics_refuse_a_row_with_the_wrong_number_of_samples() -> None:
    """A caller that leaves samples out instead of giving None is told."""
    with pytest.raises(ValueError, match="row 'r7': 1 score for 2 samples"):
        Metrics(["mean"], samples=2).add("r7", [RIGHT])
