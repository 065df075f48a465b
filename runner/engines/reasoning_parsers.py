"""Reasoning on engines of weights: what it can't be kept apart from the answer without."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner.engines.base import flag_name
from runner.errors import Fault
from runner.spec import EngineSettings

PARSER = "reasoning-parser"
"""The flag by which vLLM and SGLang are told in what form the model writes its reasoning."""

_SWITCHES = ("enable_thinking", "thinking")
"""Variables by which chat templates have a model reason."""


def reasoning_fault(settings: EngineSettings, sampling: Mapping[str, Any], names: str) -> list[Fault]:
    """Find that reasoning is asked of an engine of ours that was told of no parser, nor that it needs none.

    Of a server that runs already nothing is known. *names* are some that the engine has.
    """
    if getattr(settings, "base_url", None) is not None or not _asked(sampling):
        return []
    if any(flag_name(flag) == PARSER for flag in getattr(settings, "args", {})):
        return []
    problem = f"engine {settings.kind} leaves the reasoning in the answer without it"
    hint = f"name the parser of the model's reasoning, such as {names}; false keeps it in the answer"
    return [Fault(f"engine.args.{PARSER}", problem, hint)]


def _asked(sampling: Mapping[str, Any]) -> bool:
    variables = sampling.get("chat_template_kwargs")
    switched = isinstance(variables, Mapping) and any(variables.get(name) for name in _SWITCHES)
    return switched or sampling.get("reasoning_effort") not in {None, "none"}
