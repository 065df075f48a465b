"""exact_match: the whole answer is the target."""

from __future__ import annotations

import unicodedata
from typing import Literal

from runner.scoring.base import Score, ScorerKind
from runner.spec import ScorerSettings


class ExactMatchSettings(ScorerSettings):
    """The answer equals the target."""

    kind: Literal["exact_match"] = "exact_match"
    """The answer equals the target."""
    strip: bool = True
    """Leave out white space around the answer and the target."""
    ignore_case: bool = False
    """Upper and lower case are the same."""
    ignore_punctuation: bool = False
    """Leave out punctuation in the answer and the target."""


class ExactMatch:
    """Compares whole texts."""

    def __init__(self, settings: ExactMatchSettings) -> None:
        self._settings = settings

    def score(self, text: str, target: str) -> Score:
        answer = self._normal(text)
        return Score(float(answer == self._normal(target)), answer)

    def _normal(self, text: str) -> str:
        settings = self._settings
        if settings.ignore_punctuation:
            text = text.translate(_PUNCTUATION)
        if settings.ignore_case:
            text = text.casefold()
        return text.strip() if settings.strip else text


class _Punctuation(dict[int, int | None]):
    """A translation that drops what Unicode calls punctuation; learns characters as they come."""

    def __missing__(self, code: int) -> int | None:
        kept = None if unicodedata.category(chr(code)).startswith("P") else code
        self[code] = kept
        return kept


_PUNCTUATION = _Punctuation()


KIND = ScorerKind(
    settings=ExactMatchSettings,
    factory="runner.scoring.exact_match:ExactMatch",
    summary="the answer equals the target",
    tasks=frozenset({"chat", "complete", "classify"}),
)
