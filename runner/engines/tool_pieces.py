"""Calls of tools that come in pieces, put together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

from runner.engines.provider_errors import UNREADABLE
from runner.engines.provider_wire import malformed
from runner.errors import MalformedResponseError


@dataclass(slots=True)
class _Call:
    """A call, as far as it has come."""

    index: int | None
    fields: dict[str, Any]
    function: dict[str, Any]
    arguments: list[str]
    told: int = 0
    """Pieces of the arguments that `news` has returned."""
    own: dict[str, Any] = field(default_factory=dict)
    """All else that it has returned."""

    @property
    def text(self) -> str:
        return "".join(self.arguments)

    def holds(self, arguments: str | None) -> bool:
        """Tell whether *arguments* repeat those that have come whole."""
        repeated = _object(arguments or "")
        return repeated is not None and repeated == _object(self.text)

    def news(self, place: int) -> dict[str, Any] | None:
        """Return what has come since this was called last, if anything."""
        fresh = {name: value for name, value in self.fields.items() if self.own.get(name) != value}
        function = {name: value for name, value in self.function.items() if self.own.get(f".{name}") != value}
        begins = not self.own
        self.own |= fresh | {f".{name}": value for name, value in function.items()}
        if (arguments := "".join(self.arguments[self.told :])) or begins:
            function["arguments"] = arguments
        self.told = len(self.arguments)
        if not (fresh or function):
            return None
        return {"index": place, **fresh, "function": function}

    def whole(self) -> dict[str, Any]:
        function = {**self.function, "arguments": self.text} if self.arguments else self.function
        return {**self.fields, "function": function}


@dataclass(slots=True)
class ToolCalls:
    """The calls of one choice.

    An id that is new and comes with a function's name begins a call; an id alone, or none, goes on with the
    last call of its index. A call that comes again whole is the same one.

    Attributes:
        found: the calls, as far as they have come.
        odd: pieces that are no pieces of calls.
    """

    found: list[_Call] = field(default_factory=list)
    odd: list[Any] = field(default_factory=list)

    def add(self, pieces: Any) -> bool:
        """Add the pieces of one event and tell whether there are any."""
        if not pieces:
            return False
        for place, piece in enumerate(pieces if isinstance(pieces, list) else [pieces]):
            try:
                self._add(piece, place)
            except MalformedResponseError:
                self.odd.append(piece)
        return True

    def whole(self) -> list[Any] | None:
        """Return the calls in order, None where there is none.

        Where pieces were odd, only these: whoever asked for calls finds them unreadable.
        """
        if self.odd:
            return self.odd
        calls = sorted(self.found, key=lambda call: call.index or 0)
        return [call.whole() for call in calls] or None

    def news(self) -> tuple[dict[str, Any], ...]:
        """Return what has come since this was called last, as pieces in the OpenAI form.

        Each has the call's index in the answer; what is odd, repeated or without an index has been settled.
        """
        return tuple(piece for place, call in enumerate(self.found) if (piece := call.news(place)))

    def _add(self, piece: Any, place: int) -> None:
        if not isinstance(piece, dict):
            raise malformed(f"tool_calls is {piece!r}, expected an object")
        piece = dict(piece)
        if piece.get("id") == "null":  # Mistral's, of a call that goes on
            del piece["id"]
        index = piece.pop("index", None)
        index = _index(index)
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
        if arguments and not known.holds(arguments):
            known.arguments.append(arguments)

    def _known(self, index: int | None, id_: Any) -> _Call | None:
        """Return the call that a piece may go on with: that of its id, or else the last one."""
        calls = [call for call in reversed(self.found) if index is None or call.index == index]
        same = (call for call in calls if id_ and call.fields.get("id") == id_)
        return next(same, calls[0] if calls else None)


def _index(value: Any) -> int | None:
    """Return the index that a piece gives; None where it gives none that can be read: its id tells then."""
    if value is None or value == "":
        return None
    try:
        return as_index(value, 0)
    except MalformedResponseError:
        return None


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
    other_name = name != known.function.get("name")
    if id_ and id_ != known.fields.get("id"):
        # The call before may have got its name first, and its id only now.
        return bool(known.fields.get("id")) or other_name or _is_json(known.text)
    if not _is_json(known.text):
        return False
    return other_name or (bool(arguments) and not known.holds(arguments))


def _fill(known: dict[str, Any], piece: dict[str, Any]) -> None:
    """Take what a piece says; what it leaves empty says nothing, and an id or name stays the first."""
    for name, value in piece.items():
        if known.get(name) in (None, "") or (value not in (None, "") and name not in {"id", "name"}):
            known[name] = value


def _is_json(text: str) -> bool:
    return _object(text) is not None


def _object(text: str) -> dict[str, Any] | None:
    """Return the JSON object that a text is: whole arguments are one, and a number may yet go on."""
    try:
        found = msgspec.json.decode(text)
    except UNREADABLE:
        return None
    return found if isinstance(found, dict) else None
