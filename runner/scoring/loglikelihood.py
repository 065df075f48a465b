"""loglikelihood: the likeliest continuation is the right one."""

from __future__ import annotations

from typing import Literal

import msgspec

from runner.errors import RenderError
from runner.scoring.base import Score, ScorerKind
from runner.spec import ScorerSettings
from runner.values import Loglikelihood

_decode = msgspec.json.Decoder(tuple[Loglikelihood, ...]).decode


class LoglikelihoodSettings(ScorerSettings):
    """The likeliest continuation is the one that the target numbers, from 0."""

    kind: Literal["loglikelihood"] = "loglikelihood"
    """The likeliest continuation is the one that the target numbers, from 0."""
    normalize: Literal["none", "tokens"] = "none"
    """tokens divides each logarithm by how many tokens the continuation has, which favours no short ones."""


class LikeliestContinuation:
    """Compares continuations; of equal ones the first is taken."""

    def __init__(self, settings: LoglikelihoodSettings) -> None:
        self._by_tokens = settings.normalize == "tokens"

    def score(self, text: str, target: str) -> Score:
        found = _decode(text)
        wanted = target.strip()
        if not wanted.isdecimal() or int(wanted) >= len(found):
            known = f"a continuation's number, from 0 to {len(found) - 1}"
            raise RenderError(f"the target {target!r:.60} is not {known}")
        weights = [one.logprob / max(one.tokens, 1) if self._by_tokens else one.logprob for one in found]
        best = weights.index(max(weights))
        return Score(float(best == int(wanted)), str(best))


KIND = ScorerKind(
    settings=LoglikelihoodSettings,
    factory="runner.scoring.loglikelihood:LikeliestContinuation",
    summary="the likeliest continuation is the right one",
    tasks=frozenset({"loglikelihood"}),
    bounded=True,
)
