"""Dtypes of engines in this process, in any spelling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from runner.engines.registry import engine_kinds
from runner.shipped import shipped
from runner.spec import Model

TINY = shipped() / "models" / "tiny"


def told(kind: str, **model: Any) -> list[str]:
    """Return what a kind's check says of the tiny model's dtype."""
    described = engine_kinds()[kind]
    faults = described.check(described.settings.model_validate({}), Model(name=str(TINY), **model))
    return [str(fault) for fault in faults if fault.place == "model.dtype"]


@pytest.mark.parametrize("kind", ["mistralrs", "transformers"])
@pytest.mark.parametrize(
    ("model", "fault"),
    [
        ({"dtype": "fp32"}, None),
        ({"dtype": "half"}, None),
        ({}, None),
        ({"dtype": "float23"}, "has no dtype 'float23'\n    did you mean float"),
        ({"dtype": "int8"}, "has no dtype 'int8'"),
    ],
)
def test_dtype_that_nobody_knows_is_refused(kind: str, model: Mapping[str, Any], fault: str | None) -> None:
    """With the nearest one, where it looks like a slip, and all that are known."""
    found = told(kind, **model)

    assert (fault is None) == (found == [])
    if fault is not None:
        assert f"model.dtype: {kind} {fault}" in found[0]
        assert "known: auto, float32, fp32, bfloat16, bf16, float16, fp16, half" in found[0]
