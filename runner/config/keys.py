"""The names a file may use at its top level, and those that later parts will bring."""

from __future__ import annotations

from collections.abc import Container
from difflib import get_close_matches

GROUPS = ("model", "engine", "topology", "sampling", "prompt", "dataset", "scorers", "cluster")
"""Keys whose string names an option of ``conf/<group>/``."""

SETTINGS = ("name", "task", "samples", "cache", "output", "failed_rows", "max_errors")
"""Keys that are no groups."""

FRONT = ("extends", "defaults", "sweep")
"""Keys that say how a file is put together; they don't reach the experiment."""

LATER_KEYS = ("steps", "models", "budget")
LATER_DATASETS = ("runs",)
LATER_ENGINES = ("llama_cpp",)
LATER_SCORERS = ("judge", "pairwise")

BROUGHT = ("engine", "topology", "sampling")
"""What a model may bring; the experiment's own is laid over it."""

DEFAULT_ENGINE = "mistralrs"
"""Runs a model when neither the experiment nor the model names an engine."""

DEFAULT_CLUSTER = "local"
"""Where jobs run when nobody names a kind of cluster."""


ALSO_CALLED = {"claude": "anthropic", "gemini": "google", "grok": "xai"}
"""What providers' models are called -> the kind of engine that asks them."""

_FAMILIES = {
    **ALSO_CALLED,
    **dict.fromkeys(("gpt", "chatgpt", "o1", "o3", "o4"), "openai"),
    **dict.fromkeys(("mistral", "ministral", "magistral", "codestral", "pixtral"), "mistral"),
    "deepseek": "deepseek",
}
"""What the names of providers' models begin with -> the kind of engine that asks them."""


def served(name: str, kinds: Container[str]) -> str:
    """Return how a model is written that one of *kinds* may have, by its prefix or its name; else nothing."""
    kind, _, bare = name.rpartition(":")
    if not kind and "/" not in bare:  # what a hub has may be called as a provider's models are
        kind = _FAMILIES.get(bare.split("-", maxsplit=1)[0], "")
    return f"if {kind} serves it: engine={kind} model.name={bare}" if bare and kind in kinds else ""


_OTHERS_NAMES = {
    **dict.fromkeys(("response_format", "guided_json", "structured_outputs"), "json_schema"),
    **dict.fromkeys(("max_new_tokens", "max_completion_tokens", "max_output_tokens"), "max_tokens"),
    "guided_regex": "regex",
    "guided_choice": "choice",
    "stop_sequences": "stop",
    "random_seed": "seed",
    "functions": "tools",
    "function_call": "tool_choice",
    "thinking": "reasoning_effort",
}
"""What other APIs call sampling parameters -> our names."""

_TELLING = 3
"""Letters that tell which name is meant, where only one begins with them."""


def closest(given: str, known: list[str] | tuple[str, ...]) -> str:
    """Return the known name that *given* most likely means, or nothing."""
    meant = ALSO_CALLED.get(given) or _OTHERS_NAMES.get(given, "")
    if meant in known:
        return meant
    spelled = given.lower().replace("-", "_")
    begun = [name for name in known if name.startswith(spelled) and len(spelled) >= _TELLING]
    close = begun[:1] if len(begun) == 1 else get_close_matches(spelled, known, n=1, cutoff=0.6)
    return close[0] if close else ""


def nearest(given: str, known: list[str] | tuple[str, ...], *, say_known: bool = True) -> str:
    """Return a hint: the nearest known name, and what is known."""
    close = closest(given, known)
    hints = [f"did you mean {close}?"] if close else []
    if say_known:
        hints.append(f"known: {', '.join(known) or 'none'}")
    return " ".join(hints)
