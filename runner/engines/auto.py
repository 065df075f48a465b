"""``engine: auto``: which of the installed engines is to load local weights, and why."""

from __future__ import annotations

from collections.abc import Mapping

from runner.engines.base import EngineKind

AUTO = "auto"
"""What YAML says in place of a kind."""

ON_GPU = ("vllm", "sglang")
ANYWHERE = ("transformers", "mistralrs")


def choose_engine(kinds: Mapping[str, EngineKind], gpus: str) -> tuple[str, str]:
    """Return the kind that loads weights best here, and the reason.

    Args:
        kinds: every registered kind.
        gpus: what GPUs there are, in words; empty where there are none.

    The order is vLLM, SGLang (both with a GPU only), transformers, mistralrs; the last is taken where none
    is installed, so that the message about what is missing names the lightest one.
    """
    passed: list[str] = []
    for name in (*ON_GPU, *ANYWHERE):
        if name in ON_GPU and not gpus:
            continue
        if kinds[name].missing() is None:
            reason = f"with {gpus}" if name in ON_GPU else _why(gpus, passed)
            return name, reason
        passed.append(name)
    return ANYWHERE[-1], _why(gpus, passed)


def _why(gpus: str, passed: list[str]) -> str:
    where = f"with {gpus}" if gpus else "without a GPU"
    return where + (f"; not installed: {', '.join(passed)}" if passed else "")
