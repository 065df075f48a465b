"""Prompts: from what YAML declares to the messages of a row."""

from runner.prompts.conversation import Conversation, checked_prompt, compile_prompt
from runner.prompts.images import illustrated, settled
from runner.prompts.resolve import resolve_prompt
from runner.prompts.source import PromptSource, SlotSource, TurnSource, final_roles

__all__ = [
    "Conversation",
    "PromptSource",
    "SlotSource",
    "TurnSource",
    "checked_prompt",
    "compile_prompt",
    "final_roles",
    "illustrated",
    "resolve_prompt",
    "settled",
]
