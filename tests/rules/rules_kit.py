"""Every engine kind with every task it does, from the registry, and projects for each."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from runner.config import compose
from runner.engines.base import EngineKind
from runner.engines.capabilities import Capabilities, Parameter
from runner.engines.registry import engine_kinds
from runner.engines.request_rules import Target
from runner.errors import RenderError
from runner.jobs import DatasetFile
from runner.llm.declared import Arguments, Declared
from runner.plan import Plan, make_plan
from runner.prepare import specify_point
from runner.questions import OpenPoint
from runner.shipped import shipped
from runner.spec import Model
from runner.values import VALUE_TASKS

KEYS = ("OPENAI", "ANTHROPIC", "MISTRAL", "GEMINI", "TOGETHER", "FIREWORKS", "XAI", "DEEPSEEK")
TINY = str(shipped() / "models" / "tiny")
PARSERS = {"tool-call-parser": "hermes", "reasoning-parser": "qwen3"}
PROMPTS: Mapping[str, Any] = {
    "score": {"pair": ["{{ row.q }}", "{{ row.q }}"]},
    "rerank": {"query": "{{ row.q }}", "documents": ["{{ row.q }}"]},
    "loglikelihood": {"context": "{{ row.q }}", "continuations": ["{{ row.q }}"]},
}


@dataclass(frozen=True)
class Subject:
    """One engine with some settings, and one task.

    Attributes:
        kind: the engine's kind.
        variant: how it is set up: attached to an address, started by the job, bare (started without parsers),
            streaming.
        task: what is requested.
    """

    kind: EngineKind
    variant: str
    task: str

    def __str__(self) -> str:
        return f"{self.kind.name}-{self.variant}-{self.task}"

    @cached_property
    def engine(self) -> dict[str, Any]:
        """The engine's settings."""
        fields = self.kind.settings.model_fields
        settings: dict[str, Any] = {"kind": self.kind.name}
        if self.variant in {"attached", "streaming"} and "base_url" in fields:
            settings["base_url"] = "http://127.0.0.1:1"
        else:
            settings |= {"device": "cpu"} if "device" in fields else {}
            settings |= {"python": "/bin/sh"} if "python" in fields else {}
            settings |= {"args": PARSERS} if "args" in fields and self.variant != "bare" else {}
        return settings | ({"stream": True} if self.variant == "streaming" else {})

    @cached_property
    def model(self) -> str:
        """A model that the engine can have."""
        return TINY if self.kind.loads(self.kind.settings.model_validate(self.engine)) else "m"

    @cached_property
    def honoured(self) -> Capabilities:
        """What the engine can honour."""
        return self.kind.honours(self.kind.settings.model_validate(self.engine))

    @property
    def takes(self) -> Mapping[str, Parameter]:
        """Parameters that it takes for the task."""
        return self.honoured.takes(self.task)

    @property
    def target(self) -> Target:
        """What the rules are given."""
        return Target.of(self.kind, self.kind.settings.model_validate(self.engine), self.task)

    def needed(self) -> dict[str, Any]:
        """Return values that no request can be without."""
        return dict.fromkeys(self.honoured.needs.get(self.task, ()), 16)

    def planned(
        self,
        folder: Path,
        sampling: Mapping[str, Any],
        rows: Sequence[Mapping[str, Any]],
        *,
        engine: Mapping[str, Any] = MappingProxyType({}),
        model: Mapping[str, Any] = MappingProxyType({}),
        **keys: Any,
    ) -> Plan:
        """Plan an experiment, with further settings and top-level keys; raises `ConfigError`."""
        (folder / "conf").mkdir(exist_ok=True)
        (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        declared = {
            "task": self.task,
            "model": {"name": self.model, "engine": {**self.engine, **engine}, **model},
            "prompt": PROMPTS.get(self.task, {"user": "{{ row.q }}"}),
            "dataset": "rows.jsonl",
            "cluster": "inline",
            "sampling": {**self.needed(), **sampling},
            **keys,
        }
        file = folder / "case.yaml"
        file.write_text(json.dumps(declared))
        return make_plan(compose(file, ()))

    def declared(self, folder: Path) -> Declared | None:
        """Return an LLM of it; None where the engine is not installed here."""
        if self.kind.missing(self.kind.settings.model_validate(self.engine)) is not None:
            return None
        own = {"model": {"name": self.model}, "engine": self.engine, "task": self.task}
        return Declared(Arguments(tuple(own.items()), str(folder)))


def _variants(kind: EngineKind) -> Iterator[str]:
    attached = "base_url" in kind.settings.model_fields
    if attached:
        yield "attached"
    if kind.request_checks:
        yield "bare"
    if not attached or (kind.capabilities.local and "python" in kind.settings.model_fields):
        yield "started"
    if kind.capabilities.unstreamed or kind.capabilities.unstreamed_tasks:
        yield "streaming"


def _possible(subject: Subject) -> bool:
    """Tell whether the tiny model has what the task takes, and the task answers that may come in pieces."""
    if subject.variant == "streaming" and subject.task in VALUE_TASKS | subject.honoured.unstreamed_tasks:
        return False
    settings = subject.kind.settings.model_validate(subject.engine)
    return not subject.kind.check_task(settings, Model(name=subject.model), subject.task)


SUBJECTS = [
    subject
    for kind in engine_kinds().values()
    for variant in _variants(kind)
    for task in sorted(kind.capabilities.tasks)
    if _possible(subject := Subject(kind, variant, task))
]


def refusals(plan: Plan) -> dict[str, str]:
    """Return what is wrong with each row, by its id, as `runner plan` and jobs find it."""
    (planned,) = plan.points
    point = OpenPoint(specify_point(planned, DatasetFile(planned.experiment.dataset.path, "", 0, 0)), Path())
    found = {}
    for row in point.rows():
        (question,) = point.questions(row, [0])
        try:
            question.prepare()
        except RenderError as error:
            found[row.id] = error.message
    return found
