"""What reading the answers of providers and servers shares."""

from __future__ import annotations

from typing import TypeVar, cast

import msgspec
import pydantic

from runner.engines.in_band import implied_error, stated_error
from runner.engines.lenient import Reading, UnfitError, fitted, loose_json
from runner.engines.provider_errors import UNREADABLE
from runner.errors import AskError, IncompleteResponseError, MalformedResponseError
from runner.values import Json

_Decoded = TypeVar("_Decoded")


def decode(
    decoder: msgspec.json.Decoder[_Decoded],
    body: bytes,
    reading: Reading = Reading(),  # noqa: B008 - frozen
) -> _Decoded:
    """Decode an answer: strictly, and where that fails, without what can't be read and wasn't asked for.

    Raises:
        MalformedResponseError: it isn't what the API documents.
        IncompleteResponseError: what was asked for can't be read.
        AskError: it has a good status and tells of an error.
    """
    try:
        return decoder.decode(body)
    except UNREADABLE:
        return _reread(decoder, body, reading)


def _reread(decoder: msgspec.json.Decoder[_Decoded], body: bytes, reading: Reading) -> _Decoded:
    if not body.strip():
        raise malformed("it is empty")
    try:
        data = loose_json(body)
        if error := stated_error(data):
            raise error
        return fitted(data, cast("type[_Decoded]", decoder.type), reading)
    except UnfitError as error:
        if error.asked:
            raise IncompleteResponseError(f"what was asked for can't be read: {error}") from None
        raise implied_error(data) or malformed(error, body) from None
    except (*UNREADABLE, ValueError) as error:
        raise malformed(error, body) from None


_BEGINNING = 10_000
"""Bytes of a body that can matter to a message: many more than it shows, so that no secret in it is cut."""


def malformed(why: Exception | str, body: bytes = b"") -> AskError:
    """Return the error for an answer that is not what the API documents; what it begins with is cut later."""
    beginning = f"; it begins {body[:_BEGINNING].decode('utf-8', 'replace')!r}" if body else ""
    return MalformedResponseError(f"the answer is not what the API documents: {why}{beginning}")


def invalid(error: pydantic.ValidationError) -> str:
    """Return what an SDK's own types say of an answer or a request, without the value itself.

    Pydantic leaves out the middle of that: of a secret in it, what is left would be known no more.
    """
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in faults)


def tool_call(id_: str, name: str, arguments: Json, **further: Json) -> dict[str, Json]:
    """Return a call of a tool in the OpenAI form: its arguments as JSON text."""
    told = arguments if isinstance(arguments, str) else msgspec.json.encode(arguments).decode()
    return {"id": id_, "type": "function", "function": {"name": name, "arguments": told}, **further}
