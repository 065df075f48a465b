"""The base of everything that YAML declares."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

LARGEST = 2**63 - 1
"""The largest whole number: those beyond can't be counted with, sent or stored."""


def said(words: str) -> dict[str, Any]:
    """Return what tells in a field's JSON Schema, to us and to editors, what its pattern takes."""
    return {"patternErrorMessage": words}


class Spec(BaseModel):
    """Frozen; unknown keys are faults; numbers are never read from text that means something else."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        protected_namespaces=(),
        allow_inf_nan=False,
        serialize_by_alias=True,
        defer_build=True,
    )
