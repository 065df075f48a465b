"""Rules on the sampling of a request and what it is about, taken together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner.engines.request_rules import Finding
from runner.spec.sampling import is_template

_CONTINUES = "continue_final_message"
"""The only parameter whose meaning depends on the messages; engines that don't take it may be passed it."""


def may_continue(sampling: Mapping[str, Any]) -> bool:
    """Tell whether a row's messages decide if a sampling, templates and all, can be honoured."""
    passed = sampling.get("passthrough") or {}
    return _CONTINUES in sampling or is_template(passed) or _CONTINUES in passed


def _continues(sampling: Mapping[str, Any]) -> str:
    """Return where a sampling says that the answer goes on from the last message; empty if it doesn't."""
    if sampling.get(_CONTINUES) is True:
        return f"sampling.{_CONTINUES}"
    passed = sampling.get("passthrough")
    passing = isinstance(passed, Mapping) and _is_true(passed.get(_CONTINUES))
    return f"sampling.passthrough.{_CONTINUES}" if passing else ""


def _is_true(value: Any) -> bool:
    """Tell whether servers take a value for true: they take 1 and "true" as well."""
    return value is True or str(value).lower() in {"1", "1.0", "true", "t", "yes", "y", "on"}


def role_findings(role: str | None, sampling: Mapping[str, Any], task: str) -> list[Finding]:
    """Find that the last message, whose role is known, is none that an answer could go on from."""
    place = _continues(sampling)
    if not place or role == "assistant" or task != "chat":
        return []
    problem = "the last message is not the assistant's" + (f" but the {role}'s" if role else "")
    return [
        Finding(place, problem, f"end the messages with the beginning of the answer, or leave out {place}")
    ]


def input_findings(content: Any, sampling: Mapping[str, Any], task: str) -> list[Finding]:
    """Find what of a request's input its sampling doesn't go with."""
    place = _continues(sampling)
    if not place or task != "chat":
        return []
    last = content[-1] if content else {}
    if found := role_findings(last.get("role"), sampling, task):
        return found
    if _text(last.get("content")).strip() and not last.get("tool_calls"):
        return []
    problem = "the last message has no text that an answer could go on from"
    return [Finding(place, problem, "give the beginning of the answer")]


def _text(content: Any) -> str:
    """Return the text of a message, whether in one piece or in parts."""
    if isinstance(content, list | tuple):
        return "".join(str(part.get("text") or "") for part in content if isinstance(part, Mapping))
    return content if isinstance(content, str) else ""
