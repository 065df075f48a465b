"""What results are written as."""

from __future__ import annotations

from typing import Literal

from runner.spec.base import Spec


class Output(Spec):
    """Files beside results.jsonl."""

    dtype: Literal["float32", "float16"] = "float32"
    """Of the vectors of task embed in their Parquet files; the cache always keeps float32."""
