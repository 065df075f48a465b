"""The Python API: one model on one engine, asked from code instead of a file."""

from runner.llm.api import LLM

__all__ = ["LLM"]
