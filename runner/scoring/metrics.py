"""Metrics over rows and samples, one row at a time: only sums are kept."""

from __future__ import annotations

import re
from enum import Enum
from functools import partial
from math import comb, sqrt
from typing import TYPE_CHECKING, Any, Final, Protocol

from runner.render import suggestion
from runner.scoring.base import Score
from runner.values import count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.spec import FailedRows

_NAME = re.compile(r"(mean)|(pass|majority)@([1-9][0-9]*)")
_KNOWN = ("mean", "pass@k", "majority@k")
_Z95 = 1.959963984540054
"""Quantile of the normal distribution that leaves 2.5 % above it."""


class Failed(Enum):
    """Stands for the score of a sample that failed for good, or that a scorer failed on."""

    FAILED = "failed"


FAILED: Final = Failed.FAILED


class _Metric(Protocol):
    def __call__(self, scores: Sequence[Score | None]) -> float | None:
        """Return a row's value, None where too many of its samples have no score."""
        ...


def check_report(report: Sequence[str]) -> list[str]:
    """Return what is wrong with the metrics of a scorer's `report`, however many samples a row has."""
    unknown = [name for name in report if _NAME.fullmatch(name) is None]
    problems = [f"unknown metric {name!r} ({suggestion(name, _KNOWN)})" for name in unknown]
    twice = sorted({name for name in report if report.count(name) > 1})
    problems.extend(f"{name!r} is reported more than once" for name in twice)
    return problems


def samples_needed(metric: str) -> int:
    """Return how many samples of a row a metric needs."""
    match = _NAME.fullmatch(metric)
    return int(match[3]) if match is not None and match[3] else 1


def mean(scores: Sequence[Score | None]) -> float | None:
    """Return the mean over a row's samples; those without a score don't count."""
    if len(scores) == 1:
        (only,) = scores
        return None if only is None else only.value
    values = [score.value for score in scores if score is not None]
    return sum(values) / len(values) if values else None


def pass_at(k: int, scores: Sequence[Score | None]) -> float | None:
    """Return the unbiased estimate of the chance that one of *k* samples is right.

    1 - C(n-c, k) / C(n, k) for n samples of which c are right: equation 1 of Chen et al. 2021,
    "Evaluating Large Language Models Trained on Code", arXiv:2107.03374.
    """
    values = [score.value for score in scores if score is not None]
    count, right = len(values), sum(value >= 1 for value in values)
    return None if count < k else 1 - comb(count - right, k) / comb(count, k)


def majority_at(k: int, scores: Sequence[Score | None]) -> float | None:
    """Return the score of the answer that most of the first *k* samples gave.

    The self-consistency of Wang et al. 2022, arXiv:2203.11171. Of answers that are equally
    frequent the earliest wins; a sample in which no answer was found votes for none.
    """
    votes: dict[str, int] = {}
    values: dict[str, float] = {}
    first = scores[:k]
    for score in first:
        if score is None:
            return None
        if score.answer is not None:
            votes[score.answer] = votes.get(score.answer, 0) + 1
            values.setdefault(score.answer, score.value)
    if votes:
        return values[max(votes, key=votes.__getitem__)]
    return first[0].value if first and first[0] is not None else None


def wilson(right: int, rows: int) -> tuple[float, float]:
    """Return the Wilson score interval, at 95 %, of the share of *rows* (at least one) that are *right*.

    Equation 4 of Wilson 1927, "Probable Inference, the Law of Succession, and Statistical Inference".
    """
    share, spread = right / rows, _Z95**2 / rows
    middle = (share + spread / 2) / (1 + spread)
    reach = _Z95 / (1 + spread) * sqrt(share * (1 - share) / rows + spread / rows / 4)
    # At the ends the interval is closed exactly; rounding would leave it 1e-17 beside them.
    return max(0.0, middle - reach) if right else 0.0, min(1.0, middle + reach) if right < rows else 1.0


class _Total:
    """Mean and sum of squared deviations, by Welford's method."""

    __slots__ = ("_mean", "_right", "_rows", "_squares")

    def __init__(self) -> None:
        self._rows, self._mean, self._squares = 0, 0.0, 0.0
        self._right: int | None = 0
        """Rows whose value is 1; None once a row's value is neither 0 nor 1."""

    def add(self, value: float) -> None:
        self._rows += 1
        if self._right is not None:
            self._right = self._right + int(value) if value in {0, 1} else None
        deviation = value - self._mean
        self._mean += deviation / self._rows
        self._squares += deviation * (value - self._mean)

    def result(self) -> dict[str, Any]:
        rows = self._rows
        stderr = sqrt(self._squares / (rows - 1) / rows) if rows > 1 else None
        found: dict[str, Any] = {"value": self._mean if rows else None, "stderr": stderr, "rows": rows}
        if rows and self._right is not None:
            found |= {"ci95": wilson(self._right, rows), "ci_method": "wilson"}
        return found


class Metrics:
    """What one scorer reports; rows are added one at a time, in any order.

    A metric that needs more samples than a row has is left out: other points of a sweep may have it.
    A row counts for a metric only if enough of its samples have a score: one for mean, k for
    pass@k, the first k for majority@k. `rows` says how many did.

    Args:
        report: names of the metrics.
        samples: of every row.
        failed_rows: what a sample that failed counts as: it has no score (``exclude``), or the score 0.
    """

    def __init__(self, report: Sequence[str], samples: int = 1, failed_rows: FailedRows = "exclude") -> None:
        problems = check_report(report)
        if problems:
            raise ValueError("; ".join(problems))
        self._samples = samples
        self._failed_rows = failed_rows
        self._stand_in = Score(0.0) if failed_rows == "wrong" else None
        self._failed = 0
        self._metrics = [
            (name, _metric(name), _Total()) for name in report if samples_needed(name) <= samples
        ]

    def add(self, row_id: str, scores: Sequence[Score | Failed | None]) -> None:
        """Add a row: the scores of all its samples in their order, None where there is none yet."""
        if len(scores) != self._samples:
            raise ValueError(
                f"row {row_id!r}: {count(len(scores), 'score')} for {count(self._samples, 'sample')}"
            )
        counted: list[Score | None] = []
        for score in scores:
            if isinstance(score, Failed):
                self._failed += 1
                counted.append(self._stand_in)
            else:
                counted.append(score)
        for _, metric, total in self._metrics:
            value = metric(counted)
            if value is not None:
                total.add(value)

    def result(self) -> dict[str, dict[str, Any]]:
        """Return for each metric its value, its uncertainty over rows, and the rows it counts.

        Where samples failed, `failed` is how many, and `failed_rows` what they count as.
        """
        common = {"failed": self._failed, "failed_rows": self._failed_rows} if self._failed else {}
        return {name: total.result() | common for name, _, total in self._metrics}


def _metric(name: str) -> _Metric:
    kind, _, k = name.partition("@")
    if kind == "mean":
        return mean
    return partial(pass_at if kind == "pass" else majority_at, int(k))
