"""The base of everything that YAML declares."""

from __future__ import annotations

import re
from typing import Annotated, Any, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler

from runner.spec.docstrings import attribute_docstrings
from runner.spec.exact import exact

LARGEST = 2**63 - 1
"""The largest whole number: those beyond can't be counted with, sent or stored."""


def said(words: str) -> dict[str, Any]:
    """Return what tells in a field's JSON Schema, to us and to editors, what its pattern takes."""
    return {"patternErrorMessage": words}


_LOOK_UP = re.compile(r"""\{\{-?\s*row(?:\.(\w+)|\[(['"])(.+)\2\])\s*-?\}\}""")


def _column(name: str) -> str:
    """Refuse a template where the name of a column is expected."""
    if "{{" not in name:
        return name
    found = _LOOK_UP.fullmatch(name.strip())
    such = f": write {found[1] or found[3]}" if found else ""
    raise ValueError(f"{name!r} is a template, where the name of a column is expected{such}")


Column: TypeAlias = Annotated[str, AfterValidator(_column)]
"""The name of a column."""


class Spec(BaseModel):
    """Frozen; unknown keys are faults; numbers, booleans and text are never read as one another."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        protected_namespaces=(),
        allow_inf_nan=False,
        serialize_by_alias=True,
        defer_build=True,
    )

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> Any:
        return exact(handler(source))

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: GetJsonSchemaHandler) -> Any:
        schema = handler(core_schema)
        properties = handler.resolve_ref_schema(schema).get("properties", {})
        for name, text in attribute_docstrings(cls).items():
            field = cls.model_fields.get(name)
            described = properties.get(name if field is None else field.alias or name)
            if described is not None:
                described.setdefault("description", text)
        return schema
