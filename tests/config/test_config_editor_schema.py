"""The schema that editors read takes what the config takes, in every form, and still finds typos."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from runner.config import compose, json_schema
from runner.config.document import read_document
from runner.config.keys import GROUPS
from runner.schema import experiment_type
from runner.shipped import shipped
from tests.config.config_kit import BASE, FILES, Project

EXAMPLES = [file for file in Path(__file__).parent.glob("examples/*.yaml") if file.stem[0] not in "cd"]
"""c and d need parts that are not built yet."""

UNTIL_SAMPLING = BASE.partition("sampling:")[0]
TURNS = 'model: small\ndataset: sums\nprompt:\n  turns:\n    - user: "{{ row.question }}"\n'

TAKEN = {
    "slot by name": TURNS + "    - generate: first\n",
    "slot as a map": TURNS + "    - generate: {as: first, stop: a, max_tokens: 8}\n",
    "image of a turn": TURNS + '      images: "{{ row.picture }}"\n    - generate: a\n',
    "image of a prompt": 'model: small\ndataset: sums\nprompt: {user: hi, images: "{{ row.picture }}"}\n',
    "images in a list": 'model: small\ndataset: sums\nprompt: {user: hi, images: ["{{ row.picture }}"]}\n',
    "one stop": UNTIL_SAMPLING + "sampling: {stop: a stop of more than sixteen letters}\n",
    "stops in a list": UNTIL_SAMPLING + "sampling: {stop: [a, b]}\n",
    "parameter of each row": UNTIL_SAMPLING + 'sampling: {temperature: "{{ row.t }}"}\n',
    "minutes": BASE + "cluster: {kind: slurm, time: 30}\n",
    "hours": BASE + "cluster: {kind: slurm, time: 1:30:00}\n",
    "kinds that are told": BASE + "scorers: {exact_match: {report: [mean]}}\ncluster: {max_jobs: 1}\n",
    "scorer by name": BASE + "scorers: exact_match\n",
    "scorers by name": BASE + "scorers: [exact_match, numeric]\n",
    "scorers, each by name": BASE + "scorers: {mine: numeric, other: null}\n",
    "defaults": BASE + "name:\nsamples:\ncache:\noutput:\nmax_errors:\ntask:\ntopology:\nextends:\nsweep:\n",
    "interpolations": BASE
    + 'samples: "${oc.env:SAMPLES}"\ncache: "${oc.env:CACHE}"\nsampling.seed: "${samples}"\n'
    + 'topology: {tensor_parallel_size: "${samples}"}\nname: "n-${samples}"\n',
    "dotted keys": "extends: base\nsampling.stop: a\nsweep.sampling.temperature: [0, 1]\n",
    "dotted keys of every depth": BASE + "engine.timeout: 5\nengine.kind: fake\nmodel.engine.concurrency: 2\n"
    "scorers.mine: numeric\nscorers.other: {kind: numeric}\nscorers.other.tolerance: 1\nsampling.stop: null\n"
    "dataset.target: a\noutput.dtype: float16\nsweep.samples: [1, 2]\nsampling.temperature: '{{ row.t }}'\n",
    "axis that is not swept": BASE + "sweep: {sampling.temperature: [0, 1], samples: null}\n",
    "linked axis": BASE + "sweep: {how: [{samples: 1}, {samples: 2, sampling.temperature: 1}]}\n",
    "model with its own": "model: {name: a, engine: fake, topology: null, sampling: greedy}\n"
    + BASE.partition("\n")[2],
    "part of what a model brings": BASE.replace("small", "served") + "engine: {base_url: http://h/v1}\n",
    "hydra's file": "defaults: [/model: small, /dataset: sums, _self_]\nprompt: qa\ndataset: {limit: 1}\n"
    "hydra: {job: {name: sums}}\n",
    "hydra's settings": BASE + "hydra: {mode: RUN, verbose: true, sweeper: {params: {samples: '1,2'}}}\n"
    "hydra.job.name: sums\n",
}
"""What is written -> an experiment in it that composes."""

TYPOS = {
    "top level": BASE + "smaples: 2\n",
    "sampling": UNTIL_SAMPLING + "sampling: {temprature: 0}\n",
    "sampling's type": UNTIL_SAMPLING + "sampling: {temperature: hot}\n",
    "dataset": BASE.replace("data/sums.jsonl", "{path: a.jsonl, limti: 3}"),
    "slot": TURNS + "    - generate: {as: first, max_token: 8}\n",
    "slot's name": TURNS + "    - generate: 1st\n",
    "slot without a name": TURNS + "    - generate: {max_tokens: 8}\n",
    "images": TURNS + "      images: 3\n",
    "stop": UNTIL_SAMPLING + "sampling: {stop: [1]}\n",
    "time": BASE + "cluster: {kind: slurm, time: an hour}\n",
    "negative time": BASE + "cluster: {kind: slurm, time: -5}\n",
    "engine": BASE + "engine: {kind: fake, anwser: a}\n",
    "engine's kind": BASE + "engine: {kind: vlm}\n",
    "scorer": BASE + "scorers: {numeric: {tolerence: 1}}\n",
    "samples": BASE + "samples: two\n",
    "axis": BASE + "sweep: {samples: 2}\n",
    "dotted key": BASE + "sampling.temprature: 1\n",
    "dotted key's type": BASE + "sampling.top_p: hot\n",
    "dotted key of no map": BASE + "samples.a: 1\n",
    "dotted key of a value": BASE + "sampling.top_p.a: 1\n",
    "dotted key of another kind": BASE + "cluster.partion: a\n",
    "dotted output": BASE + "output.dtpe: float16\n",
    "dotted axis": BASE + "sweep.samples: 2\n",
    "dotted setting of hydra's": BASE + "hydra.run.dir: a\n",
    "an option's list": BASE.replace("\n  temperature: 0", " {defaults: [greedy]}"),
    "hydra's setting that is not honoured": BASE + "hydra: {run: {dir: out}}\n",
}


@cache
def _validator(group: str = "") -> jsonschema.Draft202012Validator:
    whole = json_schema()
    part = {"$ref": f"#/$defs/{group}", "$defs": whole["$defs"]} if group else whole
    jsonschema.Draft202012Validator.check_schema(part)
    return jsonschema.Draft202012Validator(part)


def _faults(file: Path, group: str = "") -> list[str]:
    found = _validator(group).iter_errors(read_document(file, file.name).data)
    return [f"{error.json_path}: {error.message}" for error in found]


@pytest.mark.parametrize("text", TAKEN.values(), ids=TAKEN)
def test_editors_take_what_the_config_takes(
    project: Project, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """Short forms, what another layer completes, and what is resolved later."""
    monkeypatch.setenv("SAMPLES", "2")
    monkeypatch.setenv("CACHE", "refresh")
    file = project.file(text)

    assert compose(file).points
    assert _faults(file) == []


@pytest.mark.parametrize("text", TYPOS.values(), ids=TYPOS)
def test_editors_find_what_the_config_refuses(project: Project, text: str) -> None:
    """The forms that are taken beside the plain one let nothing else in."""
    file = project.file(text)

    assert project.refused(file=file)
    assert _faults(file) != []


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_editors_take_the_examples(file: Path) -> None:
    """What users want to write."""
    assert _faults(file) == []


def test_editors_take_the_options(project: Project) -> None:
    """Those that ship, some of which are to be completed, and one that builds on another."""
    ours = sorted((shipped() / "conf").glob("*/*.yaml"))
    theirs = [project.root / name for name in FILES if name.startswith("conf/")]

    assert {file.name: found for file in [*ours, *theirs] if (found := _faults(file, file.parent.name))} == {}
    assert {file.parent.name for file in ours} <= set(GROUPS)


def test_editors_find_a_typo_in_an_option(project: Project) -> None:
    """In one that builds on another, too."""
    file = project.write("conf/sampling/wrong.yaml", "defaults: [greedy]\ntemprature: 1\n")

    assert len(_faults(file, "sampling")) == 1


def test_every_field_with_a_short_form_says_so() -> None:
    """What is turned into a field's type before it is validated is in the schema as it may be written."""
    short = list(_before(experiment_type().__pydantic_core_schema__))

    assert len(short) >= 4
    assert [one["function"] for one in short if "json_schema_input_schema" not in one] == []


def _before(schema: Any) -> Iterator[dict[str, Any]]:
    """Yield every validator that sees a value as it was written."""
    if isinstance(schema, dict):
        if schema.get("type") == "function-before":
            yield schema
        for inner in schema.values():
            yield from _before(inner)
    elif isinstance(schema, list | tuple):
        for inner in schema:
            yield from _before(inner)
