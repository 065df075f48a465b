"""What results are written as."""

from __future__ import annotations

from typing import Literal

from runner.spec.base import Spec


class Output(Spec):
    """What results.jsonl and the files beside it hold."""

    dtype: Literal["float32", "float16"] = "float32"
    """Of the vectors of task embed in their Parquet files; the cache always keeps float32."""
    columns: tuple[str, ...] | None = None
    """The row's columns in each line of results.jsonl; left out means all but long ones, [] means none."""
