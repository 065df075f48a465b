"""Dtypes of engines that run in this process, spelled as people and config.json spell them."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from runner.errors import Fault
from runner.spec import Model

DTYPES = {
    "auto": "auto",
    "float32": "float32",
    "fp32": "float32",
    "bfloat16": "bfloat16",
    "bf16": "bfloat16",
    "float16": "float16",
    "fp16": "float16",
    "half": "float16",
}
"""Every spelling -> torch's own name."""


def dtype_faults(engine: str, model: Model) -> Iterable[Fault]:
    """Find a dtype of the model's that nobody knows."""
    if model.dtype is not None and model.dtype not in DTYPES:
        near = get_close_matches(model.dtype, DTYPES, n=1)
        known = f"known: {', '.join(DTYPES)}"
        hint = f"did you mean {near[0]}? {known}" if near else known
        yield Fault("model.dtype", f"{engine} has no dtype {model.dtype!r}", hint)
