"""Where the values that a point runs with come from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from runner.plan import PlannedPoint
from runner.values import Json


def sampling_sources(planned: PlannedPoint) -> dict[str, str]:
    """Return where each value of a point's sampling was written: ``file:line``, or who gives it otherwise."""
    given = planned.experiment.sampling.given()
    own = getattr(planned.experiment.engine, "generation_config", "neutral") == "model"
    default = "the model's generation_config.json, or the engine's default" if own else _default(planned)
    return {
        name: _written(planned, f"sampling.{name}") if name in given else default for name in planned.sampling
    }


def setting_sources(planned: PlannedPoint, group: str) -> dict[str, str]:
    """Return where each setting of the engine, or the topology, was written that isn't at its default."""
    settings = getattr(planned.experiment, group).model_dump(exclude_defaults=True)
    names = dict.fromkeys([*(["kind"] if group == "engine" else []), *settings])
    return {name: _written(planned, f"{group}.{name}") for name in names}


def sources_json(planned: PlannedPoint) -> dict[str, Json]:
    """Return the source of every value by its dotted key."""
    found: dict[str, Json] = {
        f"sampling.{name}": source for name, source in sampling_sources(planned).items()
    }
    for group in ("engine", "topology"):
        found |= {f"{group}.{name}": source for name, source in setting_sources(planned, group).items()}
    return found


def shared(points: Sequence[Mapping[str, str]], names: Iterable[str]) -> list[str]:
    """Return lines ``name, name: source`` for *names* whose source is the same for all *points*."""
    by_source: dict[str, list[str]] = {}
    for name in names:
        sources = {one.get(name, "") for one in points}
        source = sources.pop() if len(sources) == 1 else "by point"
        if source:
            by_source.setdefault(source, []).append(name)
    return [f"{', '.join(named)}: {source}" for source, named in by_source.items()]


def _written(planned: PlannedPoint, place: str) -> str:
    return planned.point.source(place) or "default"


def _default(planned: PlannedPoint) -> str:
    return f"default of {planned.kind.name}"
