"""What a scorer is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol, cast

import msgspec

from runner.spec import ScorerSettings


class Score(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A scorer's verdict on one answer.

    Attributes:
        value: from 0 to 1; 1 is right.
        answer: what was taken from the text, for majority votes; None if nothing was found.
    """

    value: float
    answer: str | None = None


class Scorer(Protocol):
    """Pure: the same text and target always give the same score."""

    def score(self, text: str, target: str) -> Score: ...


@dataclass(frozen=True, slots=True)
class ScorerKind:
    """Describes one kind of scorer.

    Attributes:
        factory: ``module:Class``, called with the settings.
        tasks: whose answers it can score.
        target_fault: says what is wrong with a target that nothing can be compared with.
        bounded: whether scoring any answer takes a bounded, short time, so that it may share the commit of
            the answer; see `is_bounded`. All others run after that commit.
        limited: whether the scorer itself ends what takes too long, without holding the interpreter lock
            meanwhile. What is neither bounded nor limited runs in a process of its own.
        seconds: how long one answer may take to score in a process of its own.
    """

    settings: type[ScorerSettings]
    factory: str
    summary: str
    tasks: frozenset[str] = frozenset({"chat", "complete"})
    target_fault: Callable[[str], str | None] = lambda _: None
    bounded: bool = False
    limited: bool = False
    seconds: float = 10.0

    @property
    def name(self) -> str:
        """The kind's name in YAML."""
        return str(self.settings.model_fields["kind"].default)

    def is_bounded(self, settings: ScorerSettings) -> bool:
        """Tell whether scoring takes a bounded, short time: a pattern of the user's may take any."""
        return self.bounded and getattr(settings, "pattern", None) is None

    def create(self, settings: ScorerSettings) -> Scorer:
        """Build the scorer."""
        return create_scorer(self.factory, settings)


def create_scorer(factory: str, settings: ScorerSettings) -> Scorer:
    """Import a scorer's class, ``module:Class``, and build it."""
    module, _, attribute = factory.partition(":")
    return cast("Scorer", getattr(import_module(module), attribute)(settings))
