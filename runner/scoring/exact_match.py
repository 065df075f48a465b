"""exact_match: the whole answer is the target."""

from __future__ import annotations

from typing import Literal

from runner.scoring.base import Score, ScorerKind
from runner.scoring.texts import alike, without_punctuation
from runner.spec import ScorerSettings


class ExactMatchSettings(ScorerSettings):
    """The answer equals the target."""

    kind: Literal["exact_match"] = "exact_match"
    """The answer equals the target."""
    strip: bool = True
    """Ignore white space around the answer and the target."""
    ignore_case: bool = False
    """Upper and lower case are the same."""
    ignore_punctuation: bool = False
    """Ignore punctuation, but for what numbers differ by: 3.5 is not 35, -3 is not 3."""


class ExactMatch:
    """Compares whole texts, in Unicode's form NFC and with all spaces alike."""

    def __init__(self, settings: ExactMatchSettings) -> None:
        self._strip = settings.strip
        self._ignore_case = settings.ignore_case
        self._ignore_punctuation = settings.ignore_punctuation

    def score(self, text: str, target: str) -> Score:
        answer = self._normal(text)
        return Score(float(answer == self._normal(target)), answer)

    def _normal(self, text: str) -> str:
        if not text.isascii():
            text = alike(text)
        if self._ignore_punctuation:
            text = without_punctuation(text)
        if self._ignore_case:
            text = alike(text.casefold())
        return text.strip() if self._strip else text


KIND = ScorerKind(
    settings=ExactMatchSettings,
    factory="runner.scoring.exact_match:ExactMatch",
    summary="the answer equals the target",
    tasks=frozenset({"chat", "complete", "classify"}),
    bounded=True,
)
