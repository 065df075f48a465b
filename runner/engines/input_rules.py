"""Rules on the sampling of a request and what it is about, taken together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner.engines.request_rules import Finding

CONTINUES = "continue_final_message"
"""The only parameter whose meaning depends on the messages."""


def role_findings(role: str | None, task: str) -> list[Finding]:
    """Find that the last message, whose role is known, is none that an answer could go on from."""
    if role == "assistant" or task != "chat":
        return []
    problem = f"the last message is not the assistant's but the {role or 'nobody'}'s"
    hint = f"end the messages with the beginning of the answer, or leave out sampling.{CONTINUES}"
    return [Finding(f"sampling.{CONTINUES}", problem, hint)]


def input_findings(content: Any, sampling: Mapping[str, Any], task: str) -> list[Finding]:
    """Find what of a request's input its sampling doesn't go with."""
    if sampling.get(CONTINUES) is not True or task != "chat":
        return []
    last = content[-1] if content else {}
    if found := role_findings(last.get("role"), task):
        return found
    if _text(last.get("content")).strip() and not last.get("tool_calls"):
        return []
    problem = "the last message has no text that an answer could go on from"
    return [Finding(f"sampling.{CONTINUES}", problem, "give the beginning of the answer")]


def _text(content: Any) -> str:
    """Return the text of a message, whether in one piece or in parts."""
    if isinstance(content, list | tuple):
        return "".join(str(part.get("text") or "") for part in content if isinstance(part, Mapping))
    return content if isinstance(content, str) else ""
