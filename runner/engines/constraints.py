"""What an answer has to obey: how choices become a regular expression, and how an answer is checked."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec

from runner.errors import BadRequestError, CheckError, Fault, IncompleteResponseError
from runner.isolated import Isolated, IsolatedError
from runner.spec.sampling import CONSTRAINTS
from runner.values import Choice, Json, Request, Response, canonical_json

CHECK_SECONDS = 10.0
"""Time limit of checking one response."""

_CONSTRAINTS = frozenset(CONSTRAINTS)
_NO_REGEX = (re.error, OverflowError, RecursionError)
"""What Python raises on a pattern that it can't take."""
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
        except _NO_REGEX as error:
            return Fault("sampling.regex", f"{value!r:.200} is not a regular expression: {error}")
    if name == "json_schema" and isinstance(value, dict):
        return _schema_fault(canonical_json(value))
    return None


@lru_cache(maxsize=64)
def _schema_fault(written: bytes) -> Fault | None:
    from jsonschema import Draft202012Validator, SchemaError

    schema = msgspec.json.decode(written)
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        where = ".".join(map(str, error.absolute_path)) or "the schema"
        return Fault("sampling.json_schema", f"not a JSON Schema: {where}: {error.message}")
    if (reference := _unresolved(schema)) is not None:
        problem = f"its $ref {reference!r} leads nowhere in it"
        return Fault("sampling.json_schema", problem, "what it refers to stands in the schema itself")
    return None


def _unresolved(schema: Json) -> str | None:
    """Return a reference that leads nowhere in *schema*, if there is one."""
    from referencing import Registry
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012

    root = DRAFT202012.create_resource(schema)
    seen: set[int] = set()
    found = [(root, Registry().resolver_with_root(root))]
    while found:
        part, resolver = found.pop()
        if id(part.contents) in seen or not isinstance(part.contents, dict):
            continue
        seen.add(id(part.contents))
        found += [(inner, resolver.in_subresource(inner)) for inner in part.subresources()]
        for reference in (part.contents.get(name) for name in ("$ref", "$dynamicRef")):
            if not isinstance(reference, str):
                continue
            try:
                target = resolver.lookup(reference)
            except Unresolvable:
                return reference
            found.append((DRAFT202012.create_resource(target.contents), target.resolver))
    return None


def with_values(request: Request, response: Response) -> Response:
    """Return a response with each choice's parsed value, where a constraint was asked for; checks nothing.

    A choice that was cut off, refused, calls tools, or is invalid JSON has none.
    """
    if _CONSTRAINTS.isdisjoint(request.sampling) or (constraint := constraint_of(request)) is None:
        return response
    choices = tuple(_with_value(choice, constraint[0]) for choice in response.choices)
    return msgspec.structs.replace(response, choices=choices)


def _with_value(choice: Choice, name: str) -> Choice:
    if not _to_obey(choice):
        return choice
    value: Json = choice.text
    if name == "json_schema":
        try:
            value = msgspec.json.decode(choice.text)
        except (msgspec.DecodeError, RecursionError):
            return choice
    return msgspec.structs.replace(choice, parsed=value)


def checked_apart(request: Request) -> bool:
    """Tell whether checking an answer may take any time: it has to be on disk before."""
    return "json_schema" in request.sampling or "regex" in request.sampling


def require_obeyed(request: Request, response: Response) -> None:
    """Make sure that an answer obeys the constraint that was asked for; blocks up to the time limit.

    Raises:
        IncompleteResponseError: an answer that ended by itself doesn't obey the constraint. It holds the
            response, which was paid for.
        BadRequestError: the constraint is one that no answer can be checked against.
        CheckError: it could not be told in time.
    """
    if _CONSTRAINTS.isdisjoint(request.sampling) or (constraint := constraint_of(request)) is None:
        return
    name, value = constraint
    texts = [choice.text for choice in response.choices if _to_obey(choice)]
    check = _isolated if checked_apart(request) else _Check
    try:
        check(name, canonical_json(value))(texts)
    except IsolatedError as error:
        raise CheckError(f"{name} could not be checked: {error}") from None
    except IncompleteResponseError as error:
        error.response = response
        raise


@lru_cache(maxsize=64)
def _isolated(name: str, value: bytes) -> Isolated:
    return Isolated(_Check, name, value, seconds=CHECK_SECONDS)


class _Check:
    """Checks texts against a constraint, in this process or in another."""

    def __init__(self, name: str, value: bytes) -> None:
        self._name = name
        self._value = msgspec.json.decode(value)

    def __call__(self, texts: Sequence[str]) -> None:
        for text in texts:
            _require_checked(text, self._name, self._value)


def _to_obey(choice: Choice) -> bool:
    return choice.finish_reason in {"stop", None} and not choice.tool_calls


def _require_checked(text: str, name: str, value: Json) -> None:
    if name == "json_schema":
        _require_valid(text, value)
    elif not (text in value if name == "choice" else _matches(text, value)):
        raise IncompleteResponseError(f"the answer {text[:80]!r} does not obey {name}, which was asked for")


def _matches(text: str, pattern: str) -> bool:
    try:
        return re.fullmatch(pattern, text, re.DOTALL) is not None
    except _NO_REGEX as error:
        raise BadRequestError(f"regex {pattern!r:.200} can't be checked: {error}") from None


def _require_valid(text: str, schema: Json) -> None:
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise IncompleteResponseError(f"json_schema was asked for, the answer is no JSON: {error}") from None
    from referencing.exceptions import Unresolvable

    try:
        fault = next(_validator(canonical_json(schema)).iter_errors(found), None)
    except (Unresolvable, RecursionError, *_NO_REGEX) as error:
        raise BadRequestError(f"json_schema can't be checked: {str(error)[:200]}") from None
    if fault is not None:
        where = fault.json_path
        raise IncompleteResponseError(f"the answer does not obey json_schema: {where}: {fault.message[:200]}")


@lru_cache(maxsize=64)
def _validator(schema: bytes) -> Any:
    from jsonschema import Draft202012Validator
    from referencing import Registry

    # A registry of its own, since the library's would fetch what a schema refers to from the network.
    return Draft202012Validator(msgspec.json.decode(schema), registry=Registry())
