"""Reads answers that don't have the documented form: strict about what was asked for, lenient about the rest.

A typed decoder reads nearly all answers. What it refuses is read here, field by field: a field that can't be
read makes the answer malformed if the request asked for it, and is left out and noted if not.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Annotated, Any, TypeAlias, TypeVar, get_args, get_origin

import msgspec

from runner.engines.non_finite import is_non_finite, non_finite_in, takes_numbers, without_impossible
from runner.engines.notes import SILENT, Notes
from runner.values import Json, spelled

UNKNOWN = math.nan
"""A count that can't be read; it stays unknown in every sum."""

Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**53)] | None
"""A number of tokens; `UNKNOWN` where a server sends something else."""

_Form = TypeVar("_Form")

_ALWAYS = frozenset({
    "candidates",
    "content",
    "content_block",
    "delta",
    "embedding",
    "index",
    "input",
    "message",
    "meta_info",
    "partial_json",
    "parts",
    "relevance_score",
    "score",
    "text",
})
"""Fields that hold the answer itself, or say which part of it."""
_ASKED = {
    "logprobs": frozenset({
        "logprobs",
        "tokens",
        "token_logprobs",
        "top_logprobs",
        "logprobsResult",
        "chosenCandidates",
        "topCandidates",
        "logProbability",
    }),
    "prompt_logprobs": frozenset({"prompt_logprobs", "prompt_token_ids"}),
    "return_token_ids": frozenset({"token_ids", "response_token_ids", "prompt_token_ids"}),
    "tools": frozenset({"tool_calls", "functionCall", "id", "name", "args"}),
}
"""Sampling value -> fields that have to be readable where it is set."""


class UnfitError(Exception):
    """Raised when a field that matters can't be read; the message names it.

    Attributes:
        asked: the request asked for the field.
    """

    def __init__(self, message: str, *, asked: bool = False) -> None:
        super().__init__(message)
        self.asked = asked


@dataclass(frozen=True, slots=True)
class Reading:
    """How an answer is read.

    Attributes:
        sampling: what was asked for.
        notes: where fields that were left out are noted.
        version: the field that holds what the server calls itself.
    """

    sampling: Mapping[str, Json] = field(default_factory=dict)
    notes: Notes = SILENT
    version: str = "system_fingerprint"

    def strict(self) -> frozenset[str]:
        """Return the names of the fields that have to be readable."""
        asked = (fields for name, fields in _ASKED.items() if self.sampling.get(name))
        return _ALWAYS.union(*asked)


def loose_json(body: bytes) -> Any:
    """Decode JSON that may begin with a byte order mark and hold NaN, Infinity, or 1e999.

    Alternatives to a token whose log probability is -Infinity are none, and left out.

    Raises:
        DecodeError, ValueError, RecursionError: it isn't JSON, or is nested too deep.
    """
    try:
        return msgspec.json.decode(body.removeprefix(b"\xef\xbb\xbf"))
    except msgspec.DecodeError:
        if _CONSTANT.search(body) is None and _HUGE.search(body) is None:
            raise
    return without_impossible(json.loads(body))


def strict_json(data: bytes) -> bytes:
    """Return data that `loose_json` can decode as JSON that a strict decoder takes; other data as it is."""
    data = data.removeprefix(b"\xef\xbb\xbf")
    if _CONSTANT.search(data) is None and _HUGE.search(data) is None:
        return data
    try:
        return msgspec.json.encode(loose_json(data))
    except (msgspec.DecodeError, ValueError, RecursionError):
        return data


_CONSTANT = re.compile(rb"NaN|Infinity")
_HUGE = re.compile(rb"\d[eE]\+?\d{3}")


def fitted(data: Any, form: type[_Form], reading: Reading) -> _Form:
    """Return *data* as a *form*, without what can't be read and doesn't matter.

    Raises:
        UnfitError: something that matters can't be read.
    """
    found: _Form = _fit(data, form, _Place(reading, reading.strict(), ""))
    return found


def counted(number: float | None) -> int | None:
    """Return a number of tokens, None where it is unknown."""
    return number if type(number) is int else None


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in an answer a value stands, and how it is read there."""

    reading: Reading
    strict: frozenset[str]
    path: str

    def at(self, name: str) -> _Place:
        return _Place(self.reading, self.strict, f"{self.path}.{name}" if self.path else name)

    def within(self, items: int) -> _Place:
        """Return the place of a list's items; where one choice was asked for, its index doesn't matter."""
        alone = items == 1 and (self.reading.sampling.get("n") or 1) == 1
        strict = self.strict - {"index"} if alone else self.strict
        return _Place(self.reading, strict, f"{self.path}[]")

    def skip(self, value: Any, *, count: bool) -> None:
        """Note that a value is left out."""
        said = "which is not a count of tokens; taken as unknown" if count else "which can't be read; ignored"
        message = f"answers have {self.path} {spelled(value)}, {said}"
        self.reading.notes.once(self.path, message)


def _fit(value: Any, form: Any, place: _Place) -> Any:
    struct, items = _shape(form)
    if items is not None and isinstance(value, dict) and struct is None and _is_part(value, items):
        value = [value]
    if struct is not None and isinstance(value, dict):
        return _fit_struct(value, struct, place)
    if items is not None and isinstance(value, list):
        inner = place.within(len(value))
        return [_fit(_as_part(one, items), items, inner) for one in value]
    return _converted(value, form, place)


def _fit_struct(data: dict[str, Any], struct: type[msgspec.Struct], place: _Place) -> Any:
    given: dict[str, Any] = {}
    for one in msgspec.structs.fields(struct):
        value, inner = _given(one, data), place.at(one.encode_name)
        lost = _is_lost(one, data)
        if value is None and not one.required and not lost:
            continue
        if one.encode_name not in data:
            raise UnfitError(f"{inner.path} is missing")
        try:
            given[one.name] = _fit(value, one.type, inner)
        except UnfitError as error:
            if _matters(one, place.strict, empty=_is_empty(value) and not lost):
                error.asked |= one.encode_name not in _ALWAYS and not one.required
                raise
            count = one.type == Count
            if count:
                given[one.name] = UNKNOWN
            if count or not _is_empty(value):
                inner.skip(value, count=count)
    return struct(**given)


def _given(one: msgspec.structs.FieldInfo, data: dict[str, Any]) -> Any:
    """Return what a field holds; NaN counts as null where it stands in place of something else."""
    value = data.get(one.encode_name)
    return None if is_non_finite(value) and not takes_numbers(one.type) else value


def _is_lost(one: msgspec.structs.FieldInfo, data: dict[str, Any]) -> bool:
    """Tell whether a number is null, rather than left out: one that the server could not compute."""
    return one.type is float and data.get(one.encode_name, 0.0) is None


def _matters(one: msgspec.structs.FieldInfo, strict: frozenset[str], *, empty: bool) -> bool:
    return one.required or (one.encode_name in strict and not empty)


def _converted(value: Any, form: Any, place: _Place) -> Any:
    if takes_numbers(form) and (odd := non_finite_in(value)) is not None:
        raise UnfitError(f"{place.path or 'it'} holds {odd}, which is no number", asked=True)
    try:
        return msgspec.convert(value, form, str_keys=True)
    except msgspec.ValidationError as error:
        strict = place.path.rpartition(".")[2] in place.strict
        for other in (_whole_number(value), None if strict else text_in(value)):
            if other is None:
                continue
            try:
                return msgspec.convert(other, form, str_keys=True)
            except msgspec.ValidationError:
                continue
        raise UnfitError(f"{place.path or 'it'} is {spelled(value)}: {error}") from None


def _whole_number(value: Any) -> int | None:
    """Return the whole number that a number or a text is."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < _DIGITS:
        return int(value)
    return None


_DIGITS = 19


def text_in(value: Any) -> str | None:
    """Return the text of what a field holds in place of text: a number, an object, or a list of these."""
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, dict):
        return next((value[name] for name in ("content", "text") if isinstance(value.get(name), str)), None)
    if isinstance(value, list):
        texts = [text_in(one) for one in value]
        return "".join(text or "" for text in texts) if texts and any(texts) else None
    return None


def _is_empty(value: Any) -> bool:
    """Tell whether a value says nothing, whatever its type."""
    return value is None or value is False or value in ("", [], {})


def _as_part(value: Any, items: Any) -> Any:
    """Return an item of a list; a text among parts is a part that has it."""
    return (
        {"text": value}
        if isinstance(value, str) and "text" in getattr(items, "__struct_fields__", ())
        else value
    )


def _is_part(value: dict[str, Any], items: Any) -> bool:
    """Tell whether an object can stand for a list of one: a call, or a part that has text."""
    return (items is dict and bool(value)) or isinstance(value.get("text"), str)


@lru_cache(maxsize=256)
def _shape(form: Any) -> tuple[type[msgspec.Struct] | None, Any]:
    """Return the struct that a form may be, and what the items of a list are that it may be."""
    struct: type[msgspec.Struct] | None = None
    items: Any = None
    for option in (form, *get_args(form)):
        if isinstance(option, type) and issubclass(option, msgspec.Struct):
            struct = option
        elif get_origin(option) is list:
            (item,) = get_args(option)
            if isinstance(item, type) and issubclass(item, msgspec.Struct):
                items = item
            elif get_origin(item) is dict:
                items = dict
    return (None if get_origin(form) is list else struct), items
