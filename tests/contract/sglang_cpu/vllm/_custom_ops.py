"""Stands in for vLLM's CUDA operators, which SGLang imports and never calls on a CPU."""

from __future__ import annotations

from typing import Any, NoReturn


def rotary_embedding(*given: Any, **named: Any) -> NoReturn:
    """Refuse: the native path is the one that runs on a CPU."""
    raise NotImplementedError
