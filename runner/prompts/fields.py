"""Prompts of tasks that send named texts: a pair, a query with documents, a context with continuations."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import msgspec

from runner.errors import ConfigError, Fault, RenderError
from runner.prompts.source import PromptSource
from runner.render import (
    Template,
    TemplateError,
    ValueTemplate,
    compile_template,
    compile_value,
    unknown_names,
)
from runner.values import spelled

if TYPE_CHECKING:
    from runner.values import Json, Row

FIELDS_OF = MappingProxyType({
    "score": ("pair",),
    "rerank": ("query", "documents"),
    "loglikelihood": ("context", "continuations"),
})
"""Task -> the keys of `prompt` that it takes, all of them."""

FIELDS = tuple(name for names in FIELDS_OF.values() for name in names)

_LISTS = frozenset({"documents", "continuations"})
"""Fields that are lists of texts."""

_EXAMPLES = MappingProxyType({
    "score": 'prompt: {pair: ["{{ row.question }}", "{{ row.answer }}"]}',
    "rerank": 'prompt: {query: "{{ row.question }}", documents: "{{ row.documents }}"}',
    "loglikelihood": 'prompt: {context: "{{ row.question }}", continuations: "{{ row.choices }}"}',
})


class Fields:
    """The texts of a task by name; raises `ConfigError` with all that is wrong with them."""

    images = False

    def __init__(self, source: PromptSource, task: str) -> None:
        if faults := _form_faults(source, task):
            raise ConfigError(faults)
        self.slots = tuple(slot.name for slot in source.slots)
        self.sampling: tuple[dict[str, Json], ...] = ({},)
        self._fields: dict[str, ValueTemplate | Template | tuple[Template, ...]] = {}
        for name, given in source.fields.items():
            self._add(name, given, faults)
        if faults:
            raise ConfigError(faults)
        compiled = [
            template
            for field in self._fields.values()
            for template in (field if isinstance(field, tuple) else (field,))
        ]
        self.columns = frozenset[str]().union(*(template.columns() for template in compiled))

    def input(self, row: Row, answers: Sequence[str]) -> dict[str, Json]:
        assert not answers, "such a prompt has one slot"
        names: dict[str, object] = {"row": row.data}
        return {name: _value(name, field, names) for name, field in self._fields.items()}

    def _add(self, name: str, given: str | tuple[str, ...], faults: list[Fault]) -> None:
        place = f"prompt.{name}"
        several = [given] if isinstance(given, str) else given
        places = [place] if isinstance(given, str) else [f"{place}.{index}" for index in range(len(given))]
        try:
            if isinstance(given, str) and name in _LISTS:
                self._fields[name] = value = compile_value(given, name=place)
                faults += unknown_names(value, ["row"], place)
                return
            texts = [compile_template(text, name=at) for text, at in zip(several, places, strict=True)]
        except TemplateError as error:
            faults.append(error.fault(place))
            return
        self._fields[name] = texts[0] if isinstance(given, str) else tuple(texts)
        for text, at in zip(texts, places, strict=True):
            faults += unknown_names(text, ["row"], at)


def _form_faults(source: PromptSource, task: str) -> list[Fault]:
    """Find a prompt in another form than the task's."""
    wanted = FIELDS_OF.get(task, ())
    if not wanted:
        name = next(iter(source.fields))
        owner = next(task for task, names in FIELDS_OF.items() if name in names)
        return [Fault(f"prompt.{name}", f"task {task} takes no {name}", f"task {owner} does")]
    if set(source.fields) != set(wanted):
        needs = " and ".join(wanted)
        return [Fault("prompt", f"task {task} takes {needs}, and nothing else", f"such as {_EXAMPLES[task]}")]
    return []


def _value(
    name: str, field: ValueTemplate | Template | tuple[Template, ...], names: dict[str, Any]
) -> str | list[str]:
    if isinstance(field, tuple):
        return [template.render(names) for template in field]
    if isinstance(field, ValueTemplate):
        return _texts(name, field.value(names))
    return field.render(names)


def _texts(name: str, given: Any) -> list[str]:
    """Return a list of texts; a column of a CSV file holds it as JSON."""
    if isinstance(given, str) and given.lstrip().startswith("["):
        try:
            given = msgspec.json.decode(given)
        except msgspec.DecodeError as error:
            raise RenderError(f"prompt.{name}: the row's text is no JSON: {error}") from None
    if not isinstance(given, list | tuple) or not given or not all(isinstance(one, str) for one in given):
        raise RenderError(f"prompt.{name}: expected a list of texts, not {spelled(given)}")
    return list(given)
