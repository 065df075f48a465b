"""A prompt with all its templates inline: what a job carries, plain JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

import msgspec

from runner.values import Json

Role: TypeAlias = Literal["system", "user", "assistant"]


class TurnSource(msgspec.Struct, frozen=True, tag_field="kind", tag="message"):
    """A message to send.

    Attributes:
        role: whose message it is.
        source: its template.
        name: how messages call the template: its file, else the config key.
        place: the config key.
    """

    role: Role
    source: str
    name: str
    place: str


class SlotSource(msgspec.Struct, frozen=True, tag_field="kind", tag="slot"):
    """An answer of the model.

    Attributes:
        name: what later turns and scorers call it.
        sampling: values that count for this slot alone.
    """

    name: str
    sampling: Mapping[str, Json] = {}


class PromptSource(msgspec.Struct, frozen=True, omit_defaults=True):
    """A conversation that ends in a slot.

    Attributes:
        turns: in order; with `messages`, only the slot that follows them.
        siblings: files that the templates may include, by file name.
        messages: column that holds the row's own messages, if any.
    """

    turns: tuple[TurnSource | SlotSource, ...]
    siblings: Mapping[str, str] = {}
    messages: str | None = None

    @property
    def slots(self) -> tuple[SlotSource, ...]:
        """The answers among the turns, in order."""
        return tuple(turn for turn in self.turns if isinstance(turn, SlotSource))
