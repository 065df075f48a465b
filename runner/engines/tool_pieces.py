"""Calls of tools that come in pieces, put together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

from runner.engines.provider_errors import UNREADABLE
from runner.engines.provider_wire import malformed


@dataclass(slots=True)
class _Call:
    """A call, as far as it has come."""

    index: int | None
    fields: dict[str, Any]
    function: dict[str, Any]
    arguments: list[str]

    @property
    def text(self) -> str:
        return "".join(self.arguments)

    def whole(self) -> dict[str, Any]:
        function = {**self.function, "arguments": self.text} if self.arguments else self.function
        return {**self.fields, "function": function}


@dataclass(slots=True)
class ToolCalls:
    """The calls of one choice.

    An id that is new and comes with a function's name begins a call; an id alone, or none, goes on with the
    last call of its index. A call that comes again whole is the same one.
    """

    found: list[_Call] = field(default_factory=list)

    def add(self, pieces: Any) -> bool:
        """Add the pieces of one event and tell whether there are any.

        Raises:
            MalformedResponseError: they are not what the API documents.
        """
        if not pieces:
            return False
        for place, piece in enumerate(pieces if isinstance(pieces, list) else [pieces]):
            if not isinstance(piece, dict):
                raise malformed(f"tool_calls is {piece!r}, expected an object")
            self._add(dict(piece), place)
        return True

    def whole(self) -> list[dict[str, Any]] | None:
        """Return the calls in order, None where there is none."""
        calls = sorted(self.found, key=lambda call: call.index or 0)
        return [call.whole() for call in calls] or None

    def _add(self, piece: dict[str, Any], place: int) -> None:
        if piece.get("id") == "null":  # Mistral's, of a call that goes on
            del piece["id"]
        index = piece.pop("index", None)
        index = None if index is None else as_index(index, 0)
        function = piece.pop("function", None) or {}
        if not isinstance(function, dict):
            raise malformed(f"function is {function!r}, expected an object")
        arguments = arguments_text(function.get("arguments"))
        own = {name: value for name, value in function.items() if name != "arguments"}
        known = self._known(index, piece.get("id"))
        apart = index is None and place > 0 and not piece.get("id") and bool(own.get("name"))
        if known is None or apart or _begins(known, piece.get("id"), own.get("name"), arguments):
            given = [] if arguments is None else [arguments]
            self.found.append(_Call(index, piece, own, given))
            return
        _fill(known.fields, piece)
        _fill(known.function, own)
        if arguments and not (own.get("name") and arguments == known.text and _is_json(arguments)):
            known.arguments.append(arguments)

    def _known(self, index: int | None, id_: Any) -> _Call | None:
        """Return the call that a piece may go on with."""
        if index is not None:
            return next((call for call in reversed(self.found) if call.index == index), None)
        same = (call for call in self.found if id_ and call.fields.get("id") == id_)
        return next(same, self.found[-1] if self.found else None)


def as_index(value: Any, place: int) -> int:
    """Return the index that a piece gives, as a number or a text; its *place* among others where it has none.

    Raises:
        MalformedResponseError: it is something else.
    """
    if type(value) is int:
        return value
    if value is None or value == "":
        return place
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value[:18])
    if isinstance(value, float) and value.is_integer():
        return int(value)
    raise malformed(f"index {value!r} is not a number")


def arguments_text(arguments: Any) -> str | None:
    """Return a call's arguments as JSON text, as which some servers don't send them."""
    if arguments is None or isinstance(arguments, str):
        return arguments
    return msgspec.json.encode(arguments).decode()


def _begins(known: _Call, id_: Any, name: Any, arguments: str | None) -> bool:
    """Tell whether a piece begins a call, where the one before it of the same index is *known*."""
    if not name:
        return False
    if id_:
        return bool(id_ != known.fields.get("id"))
    if not _is_json(known.text):
        return False
    return bool(name != known.function.get("name")) or (bool(arguments) and arguments != known.text)


def _fill(known: dict[str, Any], piece: dict[str, Any]) -> None:
    """Take what a piece says; what it leaves empty says nothing, and an id or name stays the first."""
    for name, value in piece.items():
        if known.get(name) in (None, "") or (value not in (None, "") and name not in {"id", "name"}):
            known[name] = value


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text)
    except UNREADABLE:
        return False
    return True
