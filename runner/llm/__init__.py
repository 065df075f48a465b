"""The Python API: one model on one engine, asked from code instead of a file."""

from runner.engines.chunks import Chunk
from runner.llm.api import LLM
from runner.llm.streaming import AsyncStream, Stream

__all__ = ["LLM", "AsyncStream", "Chunk", "Stream"]
