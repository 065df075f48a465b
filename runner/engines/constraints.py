"""What an answer has to obey: how choices become a regular expression, and how an answer is checked."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec

from runner.errors import Fault, IncompleteResponseError
from runner.spec.sampling import CONSTRAINTS
from runner.values import Choice, Json, Request, Response, canonical_json

_CONSTRAINTS = frozenset(CONSTRAINTS)
_SPECIAL = re.compile(r"([.^$*+?{}\[\]\\|()])")


def choice_regex(choices: Sequence[str]) -> str:
    """Return a regular expression for one of *choices*, in what all engines' dialects share."""
    return "(" + "|".join(_SPECIAL.sub(r"\\\1", choice) for choice in choices) + ")"


def constraint_of(request: Request) -> tuple[str, Json] | None:
    """Return the one constraint that a request's answer has to obey, with its value."""
    for name in CONSTRAINTS:
        if request.sampling.get(name) is not None:
            return name, request.sampling[name]
    return None


def constraint_fault(name: str, value: Json) -> Fault | None:
    """Return the fault of a constraint that nothing could obey, or that can't be checked."""
    if name == "regex":
        try:
            re.compile(value)
        except re.error as error:
            return Fault("sampling.regex", f"{value!r} is not a regular expression: {error}")
    if name == "json_schema" and isinstance(value, dict):
        from jsonschema import Draft202012Validator, SchemaError

        try:
            Draft202012Validator.check_schema(value)
        except SchemaError as error:
            where = ".".join(map(str, error.absolute_path)) or "the schema"
            return Fault("sampling.json_schema", f"not a JSON Schema: {where}: {error.message}")
    return None


def with_parsed(request: Request, response: Response) -> Response:
    """Return a response with each choice's parsed value, where a constraint was asked for.

    A choice that was cut off, refused, or calls tools has none.

    Raises:
        IncompleteResponseError: an answer that ended by itself doesn't obey the constraint.
    """
    if _CONSTRAINTS.isdisjoint(request.sampling) or (constraint := constraint_of(request)) is None:
        return response
    choices = tuple(_parsed(choice, *constraint) for choice in response.choices)
    return msgspec.structs.replace(response, choices=choices)


def _parsed(choice: Choice, name: str, value: Json) -> Choice:
    if choice.finish_reason not in {"stop", None} or choice.tool_calls:
        return choice
    return msgspec.structs.replace(choice, parsed=_checked(choice.text, name, value))


def _checked(text: str, name: str, value: Json) -> Json:
    if name == "json_schema":
        return _json(text, value)
    obeys = text in value if name == "choice" else re.fullmatch(value, text, re.DOTALL) is not None
    if not obeys:
        raise IncompleteResponseError(f"the answer {text[:80]!r} does not obey {name}, which was asked for")
    return text


def _json(text: str, schema: Json) -> Json:
    try:
        found = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise IncompleteResponseError(f"json_schema was asked for, the answer is no JSON: {error}") from None
    fault = next(_validator(canonical_json(schema)).iter_errors(found), None)
    if fault is not None:
        where = fault.json_path
        raise IncompleteResponseError(f"the answer does not obey json_schema: {where}: {fault.message[:200]}")
    return found


@lru_cache(maxsize=64)
def _validator(schema: bytes) -> Any:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(msgspec.json.decode(schema))
