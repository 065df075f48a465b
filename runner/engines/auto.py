"""``engine: auto``: which of the engines that load local weights is to run an experiment, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

AUTO = "auto"
"""What YAML says in place of a kind."""

ON_GPU = ("vllm", "sglang")
ANYWHERE = ("transformers", "mistralrs")

NOT_INSTALLED = "not installed"
_NOTE = f"engine: {AUTO} is "


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen.

    Attributes:
        kind: the engine; empty where none can run it.
        reason: why this one, or what stands in the way of each.
    """

    kind: str
    reason: str

    @property
    def note(self) -> str:
        """What a plan says of it."""
        return f"{_NOTE}{self.kind}, {self.reason}"


def chosen_among(notes: Iterable[str]) -> str | None:
    """Return which engine auto is and why, where the *notes* of a point tell it."""
    return next((note for note in notes if note.startswith(_NOTE)), None)


def choose_engine(obstacle: Callable[[str], str], gpus: str) -> Choice:
    """Return the first engine that nothing stands in the way of: vLLM, SGLang, transformers, mistralrs.

    Args:
        obstacle: says what stops a kind, in a few words; empty where nothing does.
        gpus: which GPUs jobs find, in words; without any, vLLM and SGLang are left out.
    """
    passed: dict[str, list[str]] = {}
    if not gpus:
        passed["needs a GPU"] = list(ON_GPU)
    for name in ANYWHERE if not gpus else (*ON_GPU, *ANYWHERE):
        if not (problem := obstacle(name)):
            return Choice(name, _why(gpus, passed))
        passed.setdefault(problem, []).append(name)
    return Choice("", "; ".join(f"{', '.join(names)}: {problem}" for problem, names in passed.items()))


def _why(gpus: str, passed: dict[str, list[str]]) -> str:
    where = f"with {gpus}" if gpus else "without a GPU"
    told = [
        f"{problem}: {', '.join(names)}" if problem == NOT_INSTALLED else f"{', '.join(names)}: {problem}"
        for problem, names in passed.items()
        if names != list(ON_GPU) or gpus
    ]
    return "; ".join([where, *told])
