"""A scorer with its target: what turns the answers to one row into a score."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from runner.errors import AskError, ScorerError, raised_by_user
from runner.isolated import Isolated, IsolatedError
from runner.results import ScoreLine
from runner.scoring.base import Score, create_scorer
from runner.scoring.registry import scorer_kinds
from runner.scoring.targets import Target, Targets, best_score
from runner.spec import ScorerSettings
from runner.values import Json, Row

_LARGEST = sys.float_info.max


class BoundScorer:
    """A scorer with its target's template and the slot that it looks at.

    Attributes:
        bounded: scoring takes a bounded, short time. Otherwise `score` may block for as long as the scorer's
            time limit: call it once the answers are on disk, and not on an event loop.
    """

    def __init__(
        self, name: str, settings: ScorerSettings, default_target: str | None, slots: Sequence[str]
    ) -> None:
        self.name = name
        kind = scorer_kinds()[settings.kind]
        source = settings.target if settings.target is not None else default_target
        self._target = _target(name, settings, source)
        self._early = self._target is None or self._target.names().isdisjoint(slots)
        self.bounded = kind.is_bounded(settings) and self._early
        arguments = (name, kind.factory, settings, source, tuple(slots))
        here = self.bounded or (kind.limited and self._early)
        self._score = Scoring(*arguments) if here else None
        self._isolated = None if here else Isolated(Scoring, *arguments, seconds=kind.seconds)

    def early_target(self, row: Row) -> Targets | None:
        """Return the target if it can be had before there is an answer; None if it needs one.

        Raises:
            RenderError: the row lacks what the target is made of, or nothing can be compared with it.
        """
        if self._target is None or not self._early:
            return None
        return self._target.of_row(row.data)

    def score(self, row: Row, answers: Sequence[str], target: Targets | None = None) -> ScoreLine:
        """Score one row's answers; *target* is what `early_target` returned, if it was called.

        Raises:
            ScorerError: the scorer failed, took too long, or returned something that is no score.
            RowError: the target can't be used.
        """
        data = row.data if target is None else {}
        if self._score is not None:
            return self._score(data, answers, target)
        assert self._isolated is not None
        try:
            line: ScoreLine = self._isolated(data, tuple(answers), target)
        except IsolatedError as error:
            raise ScorerError(f"scorer {self.name}: {error}") from None
        return line


class Scoring:
    """Scores answers, in this process or in another: a pure function of what it was made of and is given."""

    def __init__(
        self, name: str, factory: str, settings: ScorerSettings, source: str | None, slots: Sequence[str]
    ) -> None:
        self._name = name
        self._slots = slots
        self._slot = slots.index(settings.of) if settings.of else len(slots) - 1
        self._scorer = create_scorer(factory, settings)
        self._target = _target(name, settings, source)

    def __call__(self, data: Mapping[str, Json], answers: Sequence[str], target: Targets | None) -> ScoreLine:
        """Return the score of *answers*; a *target* that is None is rendered from the row's *data*."""
        if target is None and self._target is not None:
            target = self._target.texts({"row": data, **dict(zip(self._slots, answers, strict=True))})
        target = target or ("",)
        answer = answers[self._slot]
        if len(target) == 1:
            (only,) = target
            score = self.score(answer, only)
            return ScoreLine(score.value, score.answer, only)
        score = best_score(self, answer, target)
        return ScoreLine(score.value, score.answer, target)

    def score(self, text: str, target: str) -> Score:
        """Return the score with one target, checked for what a score is."""
        try:
            score = self._scorer.score(text, target)
        except AskError:
            raise
        except Exception as error:
            # Scorers are plug-ins: one that fails costs its row, and not the answers of all others.
            raise ScorerError(f"scorer {self._name}: {raised_by_user(error)}") from error
        # Whether a score is beyond doubt what a score is, as nearly all are, can be told at little cost.
        if type(score) is Score and type(score.value) is float and -_LARGEST <= score.value <= _LARGEST:
            answer = score.answer
            if answer is None or (type(answer) is str and answer.isascii()):
                return score
        return Score(self._number(score), self._text(score.answer))

    def _number(self, score: Score) -> float:
        value = score.value if isinstance(score, Score) else None
        # NaN compares false, and isfinite() takes no integer that is too large for a float.
        if not isinstance(value, int | float) or not -_LARGEST <= value <= _LARGEST:
            raise ScorerError(f"scorer {self._name}: returned {score!r:.80}, expected a Score with a number")
        return float(value)

    def _text(self, answer: str | None) -> str | None:
        if answer is None:
            return None
        if not isinstance(answer, str) or not (answer.isascii() or _is_unicode(answer)):
            raise ScorerError(f"scorer {self._name}: returned the answer {answer!r:.80}, expected text")
        return answer


def _target(name: str, settings: ScorerSettings, source: str | None) -> Target | None:
    fault = scorer_kinds()[settings.kind].target_fault
    return None if source is None else Target(name, source, fault)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
