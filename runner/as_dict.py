"""Frozen values as plain dicts: what JSON, Arrow, pandas and datasets store whole."""

from __future__ import annotations

from typing import Any

import msgspec

from runner.narrow_floats import floats


class AsDict(msgspec.Struct, frozen=True):
    """A value with `to_dict`."""

    def to_dict(self) -> dict[str, Any]:
        """Return all fields, in plain Python: dicts, lists, text and numbers; vectors are lists."""
        return {name: _plain(getattr(self, name)) for name in self.__struct_fields__}


def _plain(value: Any) -> Any:
    if isinstance(value, AsDict):
        return value.to_dict()
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    return floats(value) if isinstance(value, bytes) else value
