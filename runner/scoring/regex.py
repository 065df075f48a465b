"""regex: what a pattern finds in the answer is the target."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from runner.patterns import check_pattern, compile_pattern, first_group
from runner.scoring.base import Score, ScorerKind
from runner.scoring.matching import Take, take_match
from runner.scoring.texts import alike
from runner.spec import ScorerSettings


class RegexSettings(ScorerSettings):
    """Take from the answer what a pattern finds, and compare it with the target.

    A pattern that takes more than 2 seconds of processor time on an answer is an error of the row.
    """

    kind: Literal["regex"] = "regex"
    """What a pattern finds in the answer equals the target."""
    pattern: Annotated[str, Field(min_length=1), AfterValidator(check_pattern)]
    """Python regular expression; quote it with '...' so that YAML leaves backslashes alone."""
    group: int | str | None = None
    """Group to take, by number or name; 0 is the whole match; left out means the first that took part."""
    take: Take = "first"
    """Which match to take where there are several."""
    ignore_case: bool = False
    """Upper and lower case are the same, in the pattern and in the comparison."""

    @model_validator(mode="after")
    def _group_exists(self) -> RegexSettings:
        found = compile_pattern(self.pattern)
        if isinstance(self.group, str) and self.group not in found.groupindex:
            known = ", ".join(found.groupindex) or "none"
            raise ValueError(f"group {self.group!r} is not in the pattern; its named groups: {known}")
        if isinstance(self.group, int) and not 0 <= self.group <= found.groups:
            raise ValueError(f"group {self.group} is not in the pattern, which has {found.groups} groups")
        return self


class Regex:
    """Extracts, then compares, both without white space around them."""

    def __init__(self, settings: RegexSettings) -> None:
        self._find = compile_pattern(alike(settings.pattern), ignore_case=settings.ignore_case)
        self._group = settings.group
        self._take = settings.take
        self._ignore_case = settings.ignore_case
        # One answer may be compared with several targets.
        self._extract = lru_cache(maxsize=1)(self._extracted)

    def score(self, text: str, target: str) -> Score:
        """Score an answer.

        Raises:
            ScorerError: the pattern took too long.
        """
        answer = self._extract(text)
        if answer is None:
            return Score(0.0)
        return Score(float(answer == self._normal(target)), answer)

    def _extracted(self, text: str) -> str | None:
        match = take_match(self._find, alike(text), self._take)
        if match is None:
            return None
        found: str | None = match[first_group(match) if self._group is None else self._group]
        return None if found is None else self._normal(found)

    def _normal(self, text: str) -> str:
        text = alike(text)
        return alike(text.casefold()).strip() if self._ignore_case else text.strip()


KIND = ScorerKind(
    settings=RegexSettings,
    factory="runner.scoring.regex:Regex",
    summary="what a pattern finds in the answer equals the target",
    limited=True,
)
