"""The row's columns as a line of results.jsonl holds them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import msgspec

from runner.values import Json

LONG = 1000
"""Bytes of JSON above which a column is left out of a line, unless `output.columns` names it."""

Columns: TypeAlias = tuple[msgspec.Raw | msgspec.UnsetType, tuple[str, ...]]
"""The columns as JSON, unset where none is wanted; and those that are left out since they are long."""

_encode = msgspec.json.Encoder().encode


def row_columns(data: Mapping[str, Json], chosen: Sequence[str] | None) -> Columns:
    """Return a row's columns: those that are *chosen*, else all but long ones."""
    if chosen is not None:
        return _object({
            name: _json(data[name]) for name in chosen if name in data
        }) if chosen else msgspec.UNSET, ()
    if len(whole := _json(data)) <= LONG:  # as nearly all rows are: no look at single columns
        return msgspec.Raw(whole), ()
    columns = {name: _json(value) for name, value in data.items()}
    kept = {name: value for name, value in columns.items() if len(value) <= LONG}
    return _object(kept), tuple(name for name in columns if name not in kept)


def _object(columns: Mapping[str, bytes]) -> msgspec.Raw:
    return msgspec.Raw(_encode({name: msgspec.Raw(value) for name, value in columns.items()}))


def _json(value: Json) -> bytes:
    """Return JSON; of what it has no form for, as Parquet may hold, the text that Python shows."""
    try:
        return _encode(value)
    except (TypeError, ValueError, OverflowError):
        return json.dumps(value, default=str, skipkeys=True).encode()
