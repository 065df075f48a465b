"""numeric: a number in the answer equals the target's."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from runner.patterns import check_pattern
from runner.scoring.base import ScorerKind
from runner.scoring.matching import Take
from runner.spec import ScorerSettings


class NumericSettings(ScorerSettings):
    """Take a number from the answer and compare it with the target's: 85 and 85.0 are the same.

    A number is read whole or not at all: see [Numbers](#numbers). A target may hold several numbers, as
    GSM8K's solutions do: `take` chooses one, as it does in an answer. Of "between 3 and 5" that is 5 alone; a
    range is its middle with a `tolerance`.
    """

    kind: Literal["numeric"] = "numeric"
    """A number in the answer equals the target's."""
    take: Take = "last"
    """Which number to take where there are several, of an answer as of a target."""
    tolerance: float = Field(0.0, ge=0)
    """How far the answer may be from the target."""
    pattern: Annotated[str, Field(min_length=1), AfterValidator(check_pattern)] | None = None
    """Pattern of where in the answer to look: its first group that took part, or its whole match."""
    percent: Literal["value", "fraction"] = "value"
    """What 50% is: 50, or 0.5."""


def target_fault(target: str) -> str | None:
    """Say what is wrong with a target that holds no number."""
    from runner.scoring.compare_numbers import no_number

    return no_number(target)


KIND = ScorerKind(
    settings=NumericSettings,
    factory="runner.scoring.compare_numbers:Numeric",
    summary="a number in the answer equals the target's",
    target_fault=target_fault,
    bounded=True,
    limited=True,
)
