"""The config's full type: `Experiment` with the registered engine and scorer kinds as unions."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, reduce
from operator import or_
from typing import Annotated, Any

from pydantic import Field, SerializeAsAny, create_model

from runner.engines.registry import engine_kinds
from runner.scoring.registry import scorer_kinds
from runner.spec import Experiment
from runner.values import Json


def _union(types: list[type]) -> Any:
    joined: Any = reduce(or_, types)
    return Annotated[joined, Field(discriminator="kind")] if len(types) > 1 else joined


@cache
def experiment_type(engine_kind: str | None = None) -> type[Experiment]:
    """Return the subclass of `Experiment` that validates a config and makes the JSON Schema.

    Args:
        engine_kind: takes this kind of engine alone, whose settings are then all that is imported of engines.
    """
    kinds = engine_kinds()
    taken = kinds.values() if engine_kind is None else [kinds[engine_kind]]
    engine = _union([kind.settings for kind in taken])
    scorer = _union([kind.settings for kind in scorer_kinds().values()])
    described = Experiment.model_fields
    # Unions made at run time: nothing that a type checker could follow.
    any_engine: Any = SerializeAsAny[engine]  # type: ignore[misc, valid-type]
    any_scorer: Any = dict[str, SerializeAsAny[scorer]]  # type: ignore[valid-type]
    fields: dict[str, Any] = {
        "engine": (any_engine, Field(description=described["engine"].description)),
        "scorers": (
            any_scorer,
            Field(default_factory=dict, description=described["scorers"].description),
        ),
    }
    return create_model("Experiment", __base__=Experiment, **fields)


def fitting_type(config: Mapping[str, Json]) -> type[Experiment]:
    """Return the type for the kind of engine that *config* names; for every kind if it names none."""
    engine = config.get("engine")
    kind = engine.get("kind") if isinstance(engine, dict) else None
    return experiment_type(kind if isinstance(kind, str) and kind in engine_kinds() else None)
