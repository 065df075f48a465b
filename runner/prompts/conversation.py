"""A compiled prompt: what is sent for each slot of each row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from runner.errors import ConfigError, Fault, RenderError, UserError
from runner.prompts.fields import FIELDS_OF, Fields
from runner.prompts.images import image_parts
from runner.prompts.messages import row_messages
from runner.prompts.raw import RAW_TASKS, is_conversation, only_user_turn
from runner.prompts.resolve import resolve_prompt
from runner.prompts.source import PromptSource, SlotSource, TurnSource
from runner.render import Template, TemplateError, compile_template, compile_value, unknown_names
from runner.spec import LARGEST
from runner.values import spelled

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from runner.spec import Prompt
    from runner.values import Input, Json, Message, Row


_DIGITS = len(str(LARGEST))


class Conversation(Protocol):
    """Compiled once, reused for all rows; holds nothing of any row.

    Attributes:
        slots: names of the answers, in order.
        sampling: for each slot, the values that count for it alone.
        columns: columns that every row must have, as far as the prompt shows.
        images: whether messages may hold images; `runner.prompts.images.settled` then makes them ready.
    """

    slots: tuple[str, ...]
    sampling: tuple[dict[str, Json], ...]
    columns: frozenset[str]
    images: bool

    def input(self, row: Row, answers: Sequence[str]) -> Input:
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
    if source.token_ids is not None:
        if task != "complete":
            hint = "write task: complete, which sends a raw prompt"
            raise ConfigError([Fault("prompt.token_ids", f"task {task} takes no token ids", hint)])
        return _TokenIds(source, source.token_ids)
    if source.fields or task in FIELDS_OF:
        return Fields(source, task)
    if task in RAW_TASKS and not (task == "reward" and is_conversation(source)):
        return _Raw(source, only_user_turn(source, task))
    if task == "reward" and len(source.slots) > 1:
        raise ConfigError([
            Fault("prompt.turns", "task reward takes no generate", "give every turn its text")
        ])
    return _Turns(source) if source.messages is None else _OwnMessages(source, source.messages)


def checked_prompt(
    prompt: Prompt, task: str, folders: Sequence[Path]
) -> tuple[list[Fault], PromptSource | None]:
    """Return what is wrong with a prompt for a task, or its sources; as from `resolve_prompt`."""
    try:
        source = resolve_prompt(prompt, folders)
        compile_prompt(source, task)
    except ConfigError as error:
        return list(error.faults), None
    except UserError as error:
        return [Fault("prompt", str(error))], None
    return [], source


class _Message:
    """One message that is sent, with what its images are made of."""

    __slots__ = ("columns", "images", "role", "text")

    def __init__(self, turn: TurnSource, text: Template) -> None:
        self.role = turn.role
        self.text = text
        self.images = tuple(compile_value(image, name=f"{turn.place} images") for image in turn.images)
        self.columns = text.columns().union(*(image.columns() for image in self.images))

    def render(self, names: dict[str, object]) -> Message:
        text = self.text.render(names)
        if not self.images:
            return {"role": self.role, "content": text}
        images = [part for image in self.images for part in image_parts(image.value(names))]
        return {"role": self.role, "content": [*images, {"type": "text", "text": text}]}


class _Turns:
    """Messages from templates, with slots between them."""

    def __init__(self, source: PromptSource) -> None:
        self.slots, self.sampling = _slots(source)
        parts: list[_Message | int] = []
        before: list[tuple[_Message | int, ...]] = []
        for turn, template in zip(source.turns, _templates(source), strict=True):
            if isinstance(turn, TurnSource) and template is not None:
                parts.append(_Message(turn, template))
            else:
                before.append(tuple(parts))
                parts.append(len(before) - 1)
        messages = [part for part in parts if isinstance(part, _Message)]
        self.columns = frozenset[str]().union(*(message.columns for message in messages))
        self.images = any(message.images for message in messages)
        self._before = tuple(before)
        first = before[0] if before else ()
        self._alone = first[0] if len(first) == 1 and isinstance(first[0], _Message) else None
        """The only message before the first slot, as most prompts have it."""

    def input(self, row: Row, answers: Sequence[str]) -> tuple[Message, ...]:
        if not answers:
            names: dict[str, object] = {"row": row.data}
            if self._alone is not None:
                return (self._alone.render(names),)
        else:
            names = {"row": row.data, **dict(zip(self.slots, answers, strict=False))}
        messages: list[Message] = []
        for part in self._before[len(answers)]:
            if isinstance(part, _Message):
                messages.append(part.render(names))
            elif messages and messages[-1]["role"] == "assistant":
                # The answer went on from what the turn before it had begun.
                messages[-1] = {"role": "assistant", "content": messages[-1]["content"] + answers[part]}
            else:
                messages.append({"role": "assistant", "content": answers[part]})
        return tuple(messages)


class _OwnMessages:
    """Messages that each row carries."""

    def __init__(self, source: PromptSource, column: str) -> None:
        self.slots, self.sampling = _slots(source)
        self.columns = frozenset({column})
        self.images = True
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
        self.images = False

    def input(self, row: Row, answers: Sequence[str]) -> str:
        assert not answers, "a raw prompt has one slot"
        return self._template.render({"row": row.data})


class _TokenIds:
    """One raw prompt that is given as the ids of its tokens."""

    def __init__(self, source: PromptSource, template: str) -> None:
        self.slots, self.sampling = _slots(source)
        place = "prompt.token_ids"
        try:
            self._template = compile_value(template, name=place)
        except TemplateError as error:
            raise ConfigError([error.fault(place)]) from None
        if faults := unknown_names(self._template, ["row"], place):
            raise ConfigError(faults)
        self.columns = self._template.columns()
        self.images = False

    def input(self, row: Row, answers: Sequence[str]) -> tuple[int, ...]:
        assert not answers, "a raw prompt has one slot"
        ids = self._template.value({"row": row.data})
        if isinstance(ids, str):
            ids = ids.replace(",", " ").strip().strip("[] ").split()
        found = [_token_id(token) for token in ids] if isinstance(ids, list | tuple | range) else []
        tokens = tuple(token for token in found if token is not None)
        if not tokens or len(tokens) != len(found):
            raise RenderError(f"prompt.token_ids: expected a list of whole numbers from 0: {spelled(ids)}")
        return tokens


def _token_id(given: object) -> int | None:
    """Return a token's id, None if what is given is none; the text of one is what CSV holds."""
    if isinstance(given, str) and given.isascii() and given.isdigit() and len(given) <= _DIGITS:
        given = int(given)
    return given if type(given) is int and 0 <= given <= LARGEST else None


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
            faults.extend(_image_faults(turn, known))
    if faults:
        raise ConfigError(faults)
    return templates


def _image_faults(turn: TurnSource, known: Sequence[str]) -> list[Fault]:
    faults: list[Fault] = []
    for image in turn.images:
        place = f"{turn.place.removesuffix('.user')}.images"
        try:
            faults += unknown_names(compile_value(image, name=place), known, place)
        except TemplateError as error:
            faults.append(error.fault(place))
    return faults
