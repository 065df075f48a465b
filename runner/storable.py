"""What becomes of a response that JSON can't hold: it was paid for, and is kept."""

from __future__ import annotations

import msgspec

from runner.errors import IncompleteResponseError
from runner.finite import finite
from runner.values import Json, Response, decode_response, encode_response

_NULL = b"null"


def stored_form(response: Response) -> tuple[Response, bytes]:
    """Return a response that can be stored and read again, and its encoding: one that was paid for is kept.

    What JSON can't hold is replaced: half a surrogate pair by U+FFFD, a log probability of minus infinity by
    `LEAST_LOGPROB`, a parsed value that is nested too deep by none.

    Raises:
        IncompleteResponseError: a number is NaN or infinite; it holds what else was answered.
    """
    try:
        data = encode_response(response)
        if _NULL in data:
            decode_response(data)  # a number that is none reads as null
    except RecursionError:
        choices = tuple(msgspec.structs.replace(choice, parsed=None) for choice in response.choices)
        return stored_form(msgspec.structs.replace(response, choices=choices))
    except (UnicodeEncodeError, msgspec.ValidationError):
        try:
            response = msgspec.convert(_storable(finite(msgspec.to_builtins(response))), Response)
        except msgspec.ValidationError as error:
            raise _no_number(response, error) from None
        data = encode_response(response)
    return response, data


def _no_number(response: Response, error: msgspec.ValidationError) -> IncompleteResponseError:
    choices = tuple(
        msgspec.structs.replace(choice, logprobs=None, cumulative_logprob=None) for choice in response.choices
    )
    rest = msgspec.structs.replace(
        response, choices=choices, prompt_logprobs=None, scores=(), probs=(), loglikelihoods=()
    )
    return IncompleteResponseError(f"the answer has a number that is NaN or infinite: {error}", response=rest)


def _storable(value: Json) -> Json:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {_storable(name): _storable(inner) for name, inner in value.items()}
    return [_storable(inner) for inner in value] if isinstance(value, list | tuple) else value
