"""Where the rows come from."""

from __future__ import annotations

from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from runner.spec.base import LARGEST, Column, Spec


class Shard(Spec):
    """Every count-th row, from row `index` on."""

    index: int = Field(ge=0)
    """Which shard, from 0."""
    count: int = Field(ge=1)
    """How many shards there are."""

    @model_validator(mode="after")
    def _check_index(self) -> Self:
        if self.index >= self.count:
            raise ValueError(f"index counts from 0, so at most {self.count - 1}")
        return self


class _Rows(Spec):
    path: str = Field(min_length=1)
    """File, relative to the project root."""
    id: Column | None = None
    """Column that names a row; left out means `id` where there is one, else a hash of the row."""
    target: str | None = None
    """Template of the expected answer, such as "{{ row.answer }}": the scorers' default target."""
    offset: int = Field(0, ge=0)
    """Rows to pass over at the start."""
    limit: int | None = Field(None, ge=1)
    """Most rows to read, after offset."""
    shuffle: bool = False
    """Read the rows in an order drawn with `seed`; offset and limit count in that order."""
    seed: int = Field(0, ge=0, le=LARGEST)
    """Seed of the shuffle."""
    shard: Shard | None = None
    """Read only one part of the rows that are left after offset and limit."""


class JsonlDataset(_Rows):
    """JSON Lines: one object a line, UTF-8."""

    kind: Literal["jsonl"] = "jsonl"
    """The file's format; told from the suffix where left out."""


class CsvDataset(_Rows):
    """CSV with a header line, UTF-8; every value is text."""

    kind: Literal["csv"] = "csv"
    """The file's format; told from the suffix where left out."""
    delimiter: str = Field(",", min_length=1, max_length=1)
    """One character between values; left out means a tab in a .tsv file, else a comma."""


class ParquetDataset(_Rows):
    """Parquet, read in a stream."""

    kind: Literal["parquet"] = "parquet"
    """The file's format; told from the suffix where left out."""
    columns: tuple[Column, ...] | None = Field(None, min_length=1)
    """Columns to read; left out means all. A row's hash, where that is its id, counts these alone."""


Dataset: TypeAlias = Annotated[JsonlDataset | CsvDataset | ParquetDataset, Field(discriminator="kind")]
