"""What docs/engines.md says of each engine kind, from the table that validation uses."""

from __future__ import annotations

from collections.abc import Mapping

from runner.engines.base import EngineKind
from runner.engines.registry import engine_kinds
from runner.engines.sdk import ProviderSettings
from runner.spec import Sampling, Topology
from scripts.docs_markdown import code, table


def engines() -> str:
    kinds = engine_kinds()
    behind = {name: kind for name, kind in kinds.items() if issubclass(kind.settings, ProviderSettings)}
    here = {name: kind for name, kind in kinds.items() if name not in behind}
    overview = table(
        ["kind", "what", "`pip install`", "tasks", "`concurrency: auto`", "also"],
        [
            [
                code(name),
                kind.summary,
                code(f"'.[{kind.extra}]'") if kind.extra else "nothing",
                ", ".join(sorted(kind.capabilities.tasks)),
                str(kind.capabilities.concurrency),
                ", ".join(sorted(feature.replace("_", " ") for feature in kind.capabilities.features)),
            ]
            for name, kind in kinds.items()
        ],
    )
    return "\n\n".join([overview, _parameters(here), _parameters(behind)])


def _parameters(kinds: Mapping[str, EngineKind]) -> str:
    """Return how some kinds take each sampling parameter and size; what none of them takes is left out."""
    taken = [[code(f"sampling.{name}"), *_takes(name, kinds)] for name in Sampling.model_fields]
    sizes = [
        [
            code(f"topology.{name}"),
            *("yes" if name in k.capabilities.topology else "" for k in kinds.values()),
        ]
        for name in Topology.model_fields
    ]
    rows = [row for row in [*taken, *sizes] if any(row[1:])]
    return table(["", *(code(name) for name in kinds)], rows)


def _takes(name: str, kinds: Mapping[str, EngineKind]) -> list[str]:
    """Return for each engine kind how it takes a parameter; nothing for those that don't."""
    cells = []
    for kind in kinds.values():
        able = kind.capabilities
        own = able.sampling.get(name)
        words = [] if own is None else ["yes" if own.name == name else f"as {code(own.name)}"]
        words += [f"up to {own.at_most:g}"] if own and own.at_most is not None else []
        words += [f"at most {own.count}"] if own and own.count is not None else []
        words += [own.note] if own and own.note else []
        words += [f"sent as {able.defaults[name]:g} if left out"] if name in able.defaults else []
        words += [f"not for {task}" for task, names in able.lacks.items() if own and name in names]
        words += [f"needed for {task}" for task, names in able.needs.items() if name in names]
        cells.append(", ".join(words))
    return cells
