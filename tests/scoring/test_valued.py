"""Scores of answers that are numbers."""

from __future__ import annotations

import pytest

from runner.errors import RenderError
from runner.scoring.loglikelihood import LikeliestContinuation, LoglikelihoodSettings
from runner.valued import spoken, value_of
from runner.values import Loglikelihood, Response

FOUND = Response(loglikelihoods=(Loglikelihood(-3.0, 1, greedy=False), Loglikelihood(-4.0, 4, greedy=True)))
TEXT = spoken(value_of("loglikelihood", FOUND))


@pytest.mark.parametrize(("normalize", "best"), [("none", "0"), ("tokens", "1")])
def test_the_likeliest_continuation_is_compared(normalize: str, best: str) -> None:
    """-3 beats -4, but a token of the second is likelier than the first's only one."""
    scorer = LikeliestContinuation(LoglikelihoodSettings.model_validate({"normalize": normalize}))

    score = scorer.score(TEXT, best)

    assert (score.value, score.answer) == (1.0, best)
    assert scorer.score(TEXT, str(1 - int(best))).value == 0.0


@pytest.mark.parametrize("target", ["2", "-1", "yes", ""])
def test_a_target_that_numbers_no_continuation_fails_the_row(target: str) -> None:
    """The target is a number, from 0."""
    with pytest.raises(RenderError, match="from 0 to 1"):
        LikeliestContinuation(LoglikelihoodSettings()).score(TEXT, target)


def test_a_class_is_spoken_as_its_label() -> None:
    """Scorers see the label, and the class's number where the model has no names."""
    assert spoken(value_of("classify", Response(label="spam", probs=(0.1, 0.9)))) == "spam"
    assert spoken(value_of("classify", Response(probs=(0.1, 0.9)))) == "1"
