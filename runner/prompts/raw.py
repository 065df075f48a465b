"""Prompts that are one text, sent as it is."""

from __future__ import annotations

from runner.errors import ConfigError, Fault
from runner.prompts.source import PromptSource, SlotSource, TurnSource

RAW_TASKS = frozenset({"complete", "embed", "classify", "reward"})
"""Tasks that send one user template as it is, without a chat template."""


def is_conversation(source: PromptSource) -> bool:
    """Tell whether a prompt is more than one user message."""
    messages = [turn for turn in source.turns if isinstance(turn, TurnSource)]
    return source.messages is not None or len(messages) > 1


def only_user_turn(source: PromptSource, task: str) -> TurnSource:
    """Return the one turn of a raw prompt.

    Raises:
        ConfigError: it is something else.
    """
    hint = f"task {task} sends one user template as it is, without a chat template"
    if source.messages is not None:
        raise ConfigError([Fault("prompt.messages", f"task {task} takes no messages", hint)])
    first, *rest = source.turns
    if isinstance(first, SlotSource) or first.role != "user":
        place = "prompt" if isinstance(first, SlotSource) else first.place
        raise ConfigError([Fault(place, f"task {task} takes no system or assistant message", hint)])
    if len(rest) != 1 or isinstance(rest[0], TurnSource):
        raise ConfigError([Fault("prompt.turns", f"task {task} takes no conversation", hint)])
    if first.images:
        raise ConfigError([Fault("prompt.images", f"task {task} takes no images", hint)])
    return first
