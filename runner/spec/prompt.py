"""What is sent for each row."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from pydantic import BeforeValidator, Field, model_validator

from runner.spec.base import Column, Spec, said
from runner.spec.sampling import Sampling, Texts

_SlotName: TypeAlias = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        json_schema_extra=said("letters, digits and _, such as answer_1, with no digit first"),
    ),
]


class Slot(Sampling):
    """A place in a conversation that the model fills; sampling values here count for it alone."""

    as_: _SlotName = Field(alias="as")
    """Name of the answer in later turns and scorers."""

    def given(self) -> dict[str, Any]:
        """Return the sampling values declared for this slot."""
        return {name: value for name, value in super().given().items() if name != "as_"}


def _named(value: Any) -> Any:
    """Let a slot's name stand for the slot."""
    return {"as": value} if isinstance(value, str) else value


class Turn(Spec):
    """Exactly one of: a message to send, or a slot to fill."""

    system: str | None = None
    """Template of a system message."""
    user: str | None = None
    """Template of a user message."""
    assistant: str | None = None
    """Template of an assistant message that is given, not generated."""
    images: Texts = ()
    """Images of a user message, before its text: templates such as "{{ row.image }}", one or a list."""
    generate: Annotated[Slot, BeforeValidator(_named, json_schema_input_type=_SlotName | Slot)] | None = None
    """A slot: its name, or a map with `as` and sampling values."""

    @model_validator(mode="after")
    def _one(self) -> Turn:
        if sum(value is not None for value in (self.system, self.user, self.assistant, self.generate)) != 1:
            raise ValueError("a turn is exactly one of system, user, assistant, generate")
        if self.images and self.user is None:
            raise ValueError("images go with user")
        return self


_FORMS = ("template", "user", "turns", "token_ids", "messages", "pair", "query", "context")
_WITH = {"query": "documents", "context": "continuations"}
"""Forms that have a second half."""


class Prompt(Spec):
    """One of: `template`, `user` (with an optional `system`), `turns`, `token_ids`, or `messages`.

    Some tasks have a form of their own: score `pair`, rerank `query` with `documents`, loglikelihood
    `context` with `continuations`; embed, classify and reward send the one user message as raw text.

    A string in YAML is a template folder's name, or the text of one user message.
    """

    template: str | None = None
    """Folder of templates/ that holds user.j2 and maybe system.j2."""
    system: str | None = None
    """Template of the system message."""
    user: str | None = None
    """Template of the user message; for task complete, the raw prompt."""
    images: Texts = ()
    """Images of the user message, before its text: templates such as "{{ row.image }}", one or a list."""
    turns: tuple[Turn, ...] | None = Field(None, min_length=1)
    """A conversation, in order, with slots that the model fills."""
    token_ids: str | None = None
    """For task complete: template of the raw prompt's token ids, such as "{{ row.token_ids }}"."""
    messages: Column | None = None
    """Column that holds the row's own messages: alternating strings, or OpenAI messages."""
    pair: tuple[str, str] | None = None
    """For task score: templates of the two texts."""
    query: str | None = None
    """For task rerank: template of what the documents are scored against."""
    documents: str | tuple[str, ...] | None = Field(None, min_length=1)
    """For task rerank: template of a list, such as "{{ row.documents }}", or a list of templates."""
    context: str | None = None
    """For task loglikelihood: template of the text that is continued."""
    continuations: str | tuple[str, ...] | None = Field(None, min_length=1)
    """For task loglikelihood: template of a list, such as "{{ row.choices }}", or a list of templates."""

    @model_validator(mode="after")
    def _one_form(self) -> Prompt:
        forms = [name for name in _FORMS if getattr(self, name) is not None]
        if len(forms) != 1:
            given = ", ".join(forms) or "none of them"
            raise ValueError(f"give exactly one of {', '.join(_FORMS)} (given: {given})")
        if self.images and forms[0] not in {"template", "user"}:
            raise ValueError(f"images go with template or user, not with {forms[0]}")
        for form, other in _WITH.items():
            if (getattr(self, form) is None) != (getattr(self, other) is None):
                raise ValueError(f"{form} and {other} go together")
        if self.system is not None and self.user is None:
            raise ValueError(f"system goes with user, not with {forms[0]}")
        return self
