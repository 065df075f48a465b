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
        images: templates of the images before its text.
    """

    role: Role
    source: str
    name: str
    place: str
    images: tuple[str, ...] = ()


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
        token_ids: template of a raw prompt's token ids, if that is what it is.
        fields: templates of a task's own texts by name, where it has some: of one text, or of a list of
            texts; several templates make a list.
    """

    turns: tuple[TurnSource | SlotSource, ...]
    siblings: Mapping[str, str] = {}
    messages: str | None = None
    token_ids: str | None = None
    fields: Mapping[str, str | tuple[str, ...]] = {}

    @property
    def illustrated(self) -> bool:
        """Whether a turn has images; rows with their own messages may have some that nobody sees here."""
        return any(isinstance(turn, TurnSource) and turn.images for turn in self.turns)

    @property
    def slots(self) -> tuple[SlotSource, ...]:
        """The answers among the turns, in order."""
        return tuple(turn for turn in self.turns if isinstance(turn, SlotSource))


def final_roles(source: PromptSource) -> tuple[str | None, ...]:
    """Return for each slot whose message is the last before it; None where only a row tells."""
    roles: list[str | None] = []
    before: TurnSource | SlotSource | None = None
    for turn in source.turns:
        if isinstance(turn, SlotSource):
            roles.append(before.role if isinstance(before, TurnSource) else None)
        before = turn
    return tuple(roles)
