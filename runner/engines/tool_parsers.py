"""Calls of tools on servers of weights: what they can't be read back without."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from runner.engines.base import flag_name
from runner.errors import Fault
from runner.spec import EngineSettings

PARSER = "tool-call-parser"
"""The flag by which vLLM and SGLang are told in what form the model writes its calls."""


def parser_given(args: Mapping[str, object]) -> bool:
    """Tell whether an engine's arguments name a parser."""
    return any(flag_name(flag) == PARSER and value is not False for flag, value in args.items())


def parser_fault(
    settings: EngineSettings, sampling: Mapping[str, Any], needed: Callable[[Any], bool], hint: str
) -> list[Fault]:
    """Find that an engine of ours has no parser, where the tool_choice is one that it is *needed* for.

    Of a server that runs already nothing is known.
    """
    if not sampling.get("tools") or getattr(settings, "base_url", None) is not None:
        return []
    if parser_given(getattr(settings, "args", {})) or not needed(sampling.get("tool_choice")):
        return []
    problem = f"engine {settings.kind} can't read calls of tools without it"
    return [Fault(f"engine.args.{PARSER}", problem, hint)]
