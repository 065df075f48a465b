"""What becomes of a response that JSON can't hold: it was paid for, and is kept."""

from __future__ import annotations

import sys
from math import isfinite

import msgspec

from runner.values import Json, Response, decode_response, encode_response

_NULL = b"null"


def stored_form(response: Response) -> tuple[Response, bytes]:
    """Return a response that can be stored and read again, and its encoding: one that was paid for is kept.

    What JSON can't hold is replaced: half a surrogate pair by U+FFFD, an infinite number or NaN by the
    largest or smallest one, a parsed value that is nested too deep by none.
    """
    try:
        data = encode_response(response)
        if _NULL in data:
            decode_response(data)  # a number that is none reads as null
    except RecursionError:
        choices = tuple(msgspec.structs.replace(choice, parsed=None) for choice in response.choices)
        return stored_form(msgspec.structs.replace(response, choices=choices))
    except (UnicodeEncodeError, msgspec.ValidationError):
        response = msgspec.convert(_storable(msgspec.to_builtins(response)), Response)
        data = encode_response(response)
    return response, data


def _storable(value: Json) -> Json:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, float) and not isfinite(value):
        return sys.float_info.max if value > 0 else -sys.float_info.max
    if isinstance(value, dict):
        return {_storable(name): _storable(inner) for name, inner in value.items()}
    return [_storable(inner) for inner in value] if isinstance(value, list | tuple) else value
