"""A declarative runner for LLM experiments."""

__version__ = "0.1.0"
