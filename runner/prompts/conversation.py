"""A compiled prompt: what is sent for each slot of each row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from runner.errors import ConfigError, Fault
from runner.prompts.messages import row_messages
from runner.prompts.source import PromptSource, SlotSource, TurnSource
from runner.render import Template, TemplateError, compile_template, unknown_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.values import Json, Message, Row


class Conversation(Protocol):
    """Compiled once, reused for all rows; holds nothing of any row.

    Attributes:
        slots: names of the answers, in order.
        sampling: for each slot, the values that count for it alone.
        columns: columns that every row must have, as far as the prompt shows.
    """

    slots: tuple[str, ...]
    sampling: tuple[dict[str, Json], ...]
    columns: frozenset[str]

    def input(self, row: Row, answers: Sequence[str]) -> tuple[Message, ...] | str:
        """Return what is sent for slot number ``len(answers)``; *answers* fill the slots before it.

        Raises:
            RenderError: it can't be made for this row.
        """
        ...


def compile_prompt(source: PromptSource, task: str) -> Conversation:
    """Compile a prompt for a task.

    Raises:
        ConfigError: a template is broken or uses a name that nothing defines by then, or the task
            takes no such prompt.
    """
    if task == "complete":
        return _Raw(source, _only_user_turn(source))
    return _Turns(source) if source.messages is None else _OwnMessages(source, source.messages)


class _Turns:
    """Messages from templates, with slots between them."""

    def __init__(self, source: PromptSource) -> None:
        self.slots, self.sampling = _slots(source)
        templates = _templates(source)
        self.columns = frozenset[str]().union(*(template.columns() for template in templates if template))
        parts: list[tuple[str, Template | int]] = []
        before: list[tuple[tuple[str, Template | int], ...]] = []
        for turn, template in zip(source.turns, templates, strict=True):
            if isinstance(turn, TurnSource) and template is not None:
                parts.append((turn.role, template))
            else:
                before.append(tuple(parts))
                parts.append(("assistant", len(before) - 1))
        self._before = tuple(before)

    def input(self, row: Row, answers: Sequence[str]) -> tuple[Message, ...]:
        names: dict[str, object] = {"row": row.data}
        if answers:
            names.update(zip(self.slots, answers, strict=False))
        return tuple([
            {"role": role, "content": part.render(names) if isinstance(part, Template) else answers[part]}
            for role, part in self._before[len(answers)]
        ])


class _OwnMessages:
    """Messages that each row carries."""

    def __init__(self, source: PromptSource, column: str) -> None:
        self.slots, self.sampling = _slots(source)
        self.columns = frozenset({column})
        self._column = column

    def input(self, row: Row, answers: Sequence[str]) -> tuple[Message, ...]:
        assert not answers, "rows with their own messages have one slot"
        return row_messages(row, self._column)


class _Raw:
    """One text without a chat template."""

    def __init__(self, source: PromptSource, turn: TurnSource) -> None:
        self.slots, self.sampling = _slots(source)
        template = _templates(source)[source.turns.index(turn)]
        assert template is not None
        self._template = template
        self.columns = template.columns()

    def input(self, row: Row, answers: Sequence[str]) -> str:
        assert not answers, "a raw prompt has one slot"
        return self._template.render({"row": row.data})


def _slots(source: PromptSource) -> tuple[tuple[str, ...], tuple[dict[str, Json], ...]]:
    return tuple(slot.name for slot in source.slots), tuple(dict(slot.sampling) for slot in source.slots)


def _templates(source: PromptSource) -> list[Template | None]:
    """Compile the turns' templates, None for slots; all faults are reported together."""
    templates: list[Template | None] = []
    faults: list[Fault] = []
    known = ["row"]
    for turn in source.turns:
        if isinstance(turn, SlotSource):
            known.append(turn.name)
            templates.append(None)
            continue
        try:
            template = compile_template(turn.source, name=turn.name, siblings=source.siblings)
        except TemplateError as error:
            faults.append(error.fault(turn.place))
        else:
            templates.append(template)
            faults.extend(unknown_names(template, known, turn.place))
    if faults:
        raise ConfigError(faults)
    return templates


def _only_user_turn(source: PromptSource) -> TurnSource:
    """Return the one turn of a raw prompt."""
    hint = "task complete sends one user template as it is, without a chat template"
    if source.messages is not None:
        raise ConfigError([Fault("prompt.messages", "task complete takes no messages", hint)])
    first, *rest = source.turns
    if isinstance(first, SlotSource) or first.role != "user":
        place = "prompt" if isinstance(first, SlotSource) else first.place
        raise ConfigError([Fault(place, "task complete takes no system or assistant message", hint)])
    if len(rest) != 1 or isinstance(rest[0], TurnSource):
        raise ConfigError([Fault("prompt.turns", "task complete takes no conversation", hint)])
    return first
