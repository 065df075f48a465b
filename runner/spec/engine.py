"""What every engine kind lets you set."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from runner.spec.base import Spec, said

ENV_NAME = r"^[A-Za-z_][A-Za-z0-9_]*$"

EnvName: TypeAlias = Annotated[
    str, Field(pattern=ENV_NAME, json_schema_extra=said("the NAME of an environment variable"))
]
"""Where a secret is found; never the secret."""


class EngineSettings(Spec):
    """Base of each kind's own settings; `kind` tells them apart."""

    kind: str
    """Name of the engine."""
    concurrency: Annotated[int, Field(gt=0, le=100_000)] | Literal["auto"] = "auto"
    """Requests in flight at once, per job; auto starts at the kind's default and follows 429s."""
    timeout: float = Field(600.0, gt=0, le=1_000_000)
    """Seconds that one request may take."""
    max_attempts: int = Field(6, ge=1)
    """Times that one request is tried before it counts as failed."""
