"""A project in a folder of its own, composed as users would."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from runner.config import Composition, compose
from runner.errors import ConfigError
from runner.spec import Experiment

BASE = """\
model: small
prompt: "{{ row.question }}"
dataset: data/sums.jsonl
sampling:
  temperature: 0
"""

FILES = {
    "conf/model/small.yaml": "name: org/small\nengine: {kind: fake}\n",
    "conf/model/served.yaml": (
        "name: org/served\n"
        "engine: {kind: openai_compatible, base_url: 'http://localhost:1/v1', timeout: 9}\n"
        "topology: {tensor_parallel_size: 2}\n"
        "sampling: {max_tokens: 7}\n"
    ),
    "conf/sampling/greedy.yaml": "temperature: 0\nmax_tokens: 8\n",
    "conf/sampling/hot.yaml": "temperature: 2\n",
    "conf/sampling/warm.yaml": "defaults: [greedy]\ntemperature: 1\n",
    "conf/dataset/sums.yaml": "path: data/sums.jsonl\ntarget: '{{ row.answer }}'\n",
    "data/sums.jsonl": '{"question": "1+1", "answer": "2"}\n',
    "data/sums.csv": "question,answer\n1+1,2\n",
    "templates/qa/user.j2": "{{ row.question }}\n",
    "experiments/base.yaml": BASE,
}


@dataclass(frozen=True, slots=True)
class Project:
    """A folder with options, templates, data and ``experiments/base.yaml``."""

    root: Path

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def file(self, text: str, name: str = "case") -> Path:
        return self.write(f"experiments/{name}.yaml", text)

    def composed(
        self,
        *overrides: str,
        file: str | Path = "base",
        multirun: bool = False,
        skip_refused: bool = False,
    ) -> Composition:
        path = file if isinstance(file, Path) else self.root / "experiments" / f"{file}.yaml"
        return compose(path, overrides, multirun=multirun, skip_refused=skip_refused)

    def one(self, *overrides: str, file: str | Path = "base") -> Experiment:
        (point,) = self.composed(*overrides, file=file).points
        return point.experiment

    def notes(self, *overrides: str, file: str | Path = "base") -> tuple[str, ...]:
        (point,) = self.composed(*overrides, file=file).points
        return point.notes

    def axes(self, *overrides: str, file: str | Path = "base", multirun: bool = False) -> list[list[object]]:
        found = self.composed(*overrides, file=file, multirun=multirun).points
        return [list(point.axes.values()) for point in found]

    def refused(self, *overrides: str, file: str | Path = "base", multirun: bool = False) -> str:
        with pytest.raises(ConfigError, match=r".") as caught:
            self.composed(*overrides, file=file, multirun=multirun)
        return str(caught.value)


def unsourced(error: ConfigError) -> str:
    """Return faults without where they were written, which other tests are about."""
    return "\n".join(str(replace(fault, source="")) for fault in error.faults)


def made(root: Path) -> Project:
    """Return a fresh project."""
    project = Project(root)
    for name, text in FILES.items():
        project.write(name, text)
    return project
