"""A declarative runner for LLM experiments."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runner.llm import LLM as LLM

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import what `LLM` needs when it is first asked for: every command imports this package."""
    if name == "LLM":
        return import_module("runner.llm").LLM
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """List `LLM` too, which isn't here yet."""
    return sorted({*globals(), "LLM"})
