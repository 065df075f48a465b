"""What is sent for each row."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from runner.spec.base import Spec, said
from runner.spec.sampling import Sampling


class Slot(Sampling):
    """A place in a conversation that the model fills; sampling values here count for it alone."""

    as_: str = Field(
        alias="as",
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        json_schema_extra=said("letters, digits and _, such as answer_1, with no digit first"),
    )
    """Name of the answer in later turns and scorers."""

    def given(self) -> dict[str, Any]:
        """Return the sampling values declared for this slot."""
        return {name: value for name, value in super().given().items() if name != "as_"}


class Turn(Spec):
    """Exactly one of: a message to send, or a slot to fill."""

    system: str | None = None
    """Template of a system message."""
    user: str | None = None
    """Template of a user message."""
    assistant: str | None = None
    """Template of an assistant message that is given, not generated."""
    generate: Slot | None = None
    """A slot: its name, or a map with `as` and sampling values."""

    @model_validator(mode="before")
    @classmethod
    def _slot_by_name(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(data.get("generate"), str):
            return {**data, "generate": {"as": data["generate"]}}
        return data

    @model_validator(mode="after")
    def _one(self) -> Turn:
        if sum(value is not None for value in (self.system, self.user, self.assistant, self.generate)) != 1:
            raise ValueError("a turn is exactly one of system, user, assistant, generate")
        return self


class Prompt(Spec):
    """One of: `template`, `user` (with an optional `system`), `turns`, or `messages`.

    A string in YAML is a template folder's name, or the text of one user message.
    """

    template: str | None = None
    """Folder of templates/ that holds user.j2 and maybe system.j2."""
    system: str | None = None
    """Template of the system message."""
    user: str | None = None
    """Template of the user message; for task complete, the raw prompt."""
    turns: tuple[Turn, ...] | None = Field(None, min_length=1)
    """A conversation, in order, with slots that the model fills."""
    messages: str | None = None
    """Column that holds the row's own messages: alternating strings, or OpenAI messages."""

    @model_validator(mode="after")
    def _one_form(self) -> Prompt:
        forms = [
            name for name in ("template", "user", "turns", "messages") if getattr(self, name) is not None
        ]
        if len(forms) != 1:
            given = ", ".join(forms) or "none of them"
            raise ValueError(f"give exactly one of template, user, turns, messages (given: {given})")
        if self.system is not None and self.user is None:
            raise ValueError(f"system goes with user, not with {forms[0]}")
        return self
