"""Scores as a table shows them: the value, how uncertain it is, and which rows it counts."""

from __future__ import annotations

from collections.abc import Sequence

from runner.outcome import PointOutcome
from runner.values import Json, count

_COUNTED = {"exclude": "excluded", "wrong": "counted as wrong"}
"""`failed_rows` -> what is said of the failed ones."""


def score_columns(points: Sequence[PointOutcome]) -> tuple[list[str], list[list[str]]]:
    """Return the headings of the scores, and for each point the cells below them.

    A score that counts fewer rows than the point has says so, and what became of failed rows. Where that
    is the same for all scores of a point, and so for every point, it takes a last column of its own.
    """
    reported = _reported(points)
    names = [scorer if metric == "mean" else f"{scorer} {metric}" for scorer, metric in reported]
    texts, notes = [], []
    for point in points:
        scores = [point.scores.get(scorer, {}).get(metric) for scorer, metric in reported]
        texts.append([_text(score) for score in scores])
        notes.append([None if score is None else _note(score, point) for score in scores])
    if not any(note for told in notes for note in told):
        return names, texts
    shared = [{note for note in told if note is not None} for told in notes]
    if all(len(one) <= 1 for one in shared):
        return [*names, "scored"], [
            [*cells, *(one or {""})] for cells, one in zip(texts, shared, strict=True)
        ]
    return names, [
        [f"{text} ({note})" if note else text for text, note in zip(cells, told, strict=True)]
        for cells, told in zip(texts, notes, strict=True)
    ]


def _reported(points: Sequence[PointOutcome]) -> list[tuple[str, str]]:
    """Return every (scorer, metric) that any point with results reports, those of a scorer together."""
    found: dict[str, dict[str, None]] = {}
    for point in points:
        if point.ok or point.errors:
            for name, metrics in point.scores.items():
                found.setdefault(name, {}).update(dict.fromkeys(metrics))
    return [(name, metric) for name, metrics in found.items() for metric in metrics]


def _text(score: Json) -> str:
    if not score or score.get("value") is None:
        return "-"
    value = f"{score['value']:.3f}"
    if interval := score.get("ci95"):
        low, high = interval
        return f"{value} [{low:.3f}, {high:.3f}]"
    stderr = score.get("stderr")
    return value if stderr is None else f"{value} ± {stderr:.3f}"


def _note(score: Json, point: PointOutcome) -> str:
    """Return which rows a score counts; nothing where it counts all of them."""
    rows, failed = score.get("rows", 0), score.get("failed", 0)
    said = [f"{rows:,} of {count(point.rows, 'row')}"] if rows < point.rows else []
    if failed:
        many = f"{failed:,} failed" if point.expected == point.rows else count(failed, "failed sample")
        said.append(f"{many} {_COUNTED[score['failed_rows']]}")
    return ", ".join(said)
