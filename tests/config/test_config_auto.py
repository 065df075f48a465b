"""``engine: auto``: on machines with and without GPUs, and with one engine or another installed."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from runner.config import Composition, json_schema
from runner.engines.auto import ANYWHERE, NOT_INSTALLED, ON_GPU, choose_engine
from runner.errors import UserError
from runner.plan import PlannedPoint, make_plan
from tests.config.config_kit import BASE, Project

Install = Callable[..., None]
ALL = (*ON_GPU, *ANYWHERE)
_SMI = """#!/bin/sh
case "$*" in
  -L) printf 'GPU 0: NVIDIA (UUID: GPU-aa11)\\nGPU 1: NVIDIA (UUID: GPU-bb22)\\n' ;;
  *) printf '0, GPU-aa11, 81920\\n1, GPU-bb22, 1\\n' ;;
esac
"""
"""Two GPUs, the second with a single mebibyte: less than the weights of these tests."""


@pytest.fixture(autouse=True)
def weights(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights of three megabytes, on a machine without a GPU."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    project.write("weights/config.json", "{}")
    project.write("weights/model.safetensors", " " * 3_000_000)
    project.write("weights/consolidated.safetensors", " " * 3_000_000)


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Install packages as pip does: what tells of them lies on the path; of modules, an empty one."""
    site = tmp_path / "site"
    monkeypatch.syspath_prepend(site)

    def put(*names: str, modules: tuple[str, ...] = ()) -> None:
        for name in names:
            info = site / f"{name}-9.9.dist-info" / "METADATA"
            info.parent.mkdir(parents=True)
            info.write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 9.9\n")
        for name in modules:
            (site / name).mkdir(parents=True)
            (site / name / "__init__.py").touch()

    return put


@pytest.fixture
def two_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose nvidia-smi lists two GPUs."""
    program = tmp_path / "bin" / "nvidia-smi"
    program.parent.mkdir()
    program.write_text(_SMI)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")


def planned(composition: Composition) -> PlannedPoint:
    """Return the only point of a plan."""
    (point,) = make_plan(composition).points
    return point


def why(point: PlannedPoint) -> str:
    """Return what a plan says of the choice."""
    (note,) = [note for note in point.notes if note.startswith("engine: auto is ")]
    return note


@pytest.mark.parametrize(
    ("gpus", "there", "kind", "reason"),
    [
        ("2 GPUs here", ALL, "vllm", "with 2 GPUs here"),
        ("2 GPUs here", ("sglang", "mistralrs"), "sglang", "with 2 GPUs here; not installed: vllm"),
        (
            "the GPUs that Slurm gives",
            ANYWHERE,
            "transformers",
            "with the GPUs that Slurm gives; not installed: vllm, sglang",
        ),
        ("", ALL, "transformers", "without a GPU"),
        ("", (*ON_GPU, "mistralrs"), "mistralrs", "without a GPU; not installed: transformers"),
        ("", ON_GPU, "", "vllm, sglang: needs a GPU; transformers, mistralrs: not installed"),
    ],
)
def test_order_follows_from_gpus_and_what_is_installed(
    gpus: str, there: tuple[str, ...], kind: str, reason: str
) -> None:
    """VLLM and SGLang with a GPU only, then transformers, then mistralrs."""
    choice = choose_engine(lambda name: "" if name in there else NOT_INSTALLED, gpus)

    assert (choice.kind, choice.reason) == (kind, reason)


def test_a_point_that_is_none_decides_nothing_for_others(project: Project, install: Install) -> None:
    """Whatever the order of the points, the one that can run gets the engine that can run it."""
    install("transformers", modules=("torch",))
    options = ("model=weights", "model.quantization=Q4K", "engine=auto")
    chosen = [
        project.composed(*options, f"samples={samples}", multirun=True, skip_refused=True).points
        for samples in ("0,1", "1,0")
    ]

    kinds = [[point.experiment.engine.kind for point in points] for points in chosen]
    assert kinds == [["mistralrs"], ["mistralrs"]]


def test_interpreter_that_is_no_program_holds_nothing(project: Project) -> None:
    """It is told as one that lacks the engines."""
    program = project.write("nopython", "neither a script nor a binary")
    program.chmod(0o755)
    point = planned(
        project.composed("model=weights", "engine=auto", f"engine.python={program}", "cluster={kind: slurm}")
    )

    assert f"vllm, sglang: not in {program}" in why(point)


@pytest.mark.usefixtures("two_gpus")
def test_servers_are_chosen_with_a_gpu(project: Project, install: Install) -> None:
    """SGLang where it alone is installed, vLLM once it is too."""
    install("sglang")
    first = planned(project.composed("model=weights", "engine=auto"))
    install("vllm")
    second = planned(project.composed("model=weights", "engine=auto"))

    assert why(first).startswith("engine: auto is sglang, with 2 GPUs here; not installed: vllm")
    assert why(second).startswith("engine: auto is vllm, with 2 GPUs here")


def test_on_slurm_the_jobs_have_gpus(project: Project, install: Install) -> None:
    """Whatever the machine has that plans; so transformers is told to take one."""
    install("transformers", modules=("torch",))
    options = ("model=weights", "engine=auto", "cluster={kind: slurm}")
    point = planned(project.composed(*options))
    install("vllm")

    assert why(point).startswith(
        "engine: auto is transformers, with the GPUs that Slurm gives; not installed"
    )
    assert point.kind.devices(point.experiment.engine, point.experiment.topology) == 1
    assert planned(project.composed(*options)).kind.name == "vllm"


def test_engine_that_cannot_run_is_passed_over(project: Project, install: Install) -> None:
    """The transformers package is of no use without torch, and the plan says so."""
    install("transformers", "mistralrs")
    point = planned(project.composed("model=weights", "engine=auto"))

    assert why(point) == (
        "engine: auto is mistralrs, without a GPU; transformers: needs torch, which is not installed"
    )


@pytest.mark.parametrize(
    ("overrides", "obstacle", "chosen"),
    [
        (["sampling.seed=5"], "mistralrs: can't honour seed", "transformers"),
        (
            ["task=loglikelihood", "prompt={context: a, continuations: '{{ row.question }}'}"],
            "mistralrs: can't do loglikelihood",
            "transformers",
        ),
        (["engine.args={max-model-len: 9}"], "mistralrs: takes no engine.args", None),
        (["engine.stream=true", "sampling.n=2"], "mistralrs: can't stream with n", "transformers"),
    ],
)
def test_engine_is_chosen_for_what_is_asked(
    project: Project, install: Install, overrides: list[str], obstacle: str, chosen: str | None
) -> None:
    """Where none can do it, the fault tells of each what stands in the way; where one can, it is taken."""
    install("mistralrs")
    asked = ["model=weights", "engine={kind: auto}", "sampling.temperature=null", *overrides]
    problem = project.refused(*asked)

    assert "engine (command line): auto finds no engine that can run this here" in problem
    assert "vllm, sglang: needs a GPU" in problem
    assert obstacle in problem
    if chosen is not None:
        install(chosen, modules=("torch",))
        assert planned(project.composed(*asked)).kind.name == chosen


def test_task_that_only_servers_do_names_what_each_lacks(project: Project, install: Install) -> None:
    """Not the last engine alone, of which nobody had thought."""
    install("mistralrs")
    problem = project.refused("model=weights", "engine=auto", "task=embed", "sampling={}")

    assert "vllm, sglang: needs a GPU; transformers: not installed; mistralrs: can't do embed" in problem


@pytest.mark.usefixtures("two_gpus")
def test_auto_is_told_where_the_servers_live(project: Project, install: Install, tmp_path: Path) -> None:
    """In an environment of their own, which is asked what it holds; an engine in this process needs none."""
    install("sglang", "mistralrs")
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={tmp_path / "site"} exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    served = f"engine={{kind: auto, python: {python}, args: {{log-level: error}}}}"
    point = planned(project.composed("model=weights", served))

    assert why(point).startswith(f"engine: auto is sglang, with 2 GPUs here; vllm: not in {python}")
    assert getattr(point.experiment.engine, "python", "") == str(python)
    elsewhere = f"engine={{kind: auto, python: {python}, device: cpu}}"
    assert planned(project.composed("model=weights", elsewhere)).kind.name in ANYWHERE


@pytest.mark.usefixtures("two_gpus")
def test_weights_that_do_not_fit_are_told(project: Project, install: Install) -> None:
    """Their size on disk, once, against the smallest of the GPUs that jobs may use."""
    install("vllm")
    small = planned(project.composed("model=weights", "engine=auto", "cluster={kind: local, devices: [1]}"))
    large = planned(project.composed("model=weights", "engine=auto", "cluster={kind: local, devices: [0]}"))

    assert why(small) == (
        "engine: auto is vllm, with 1 GPU here; the weights (3.0 MB) don't fit the memory of 1 GPU (1.0 MB)"
    )
    assert why(large) == "engine: auto is vllm, with 1 GPU here"


def test_weights_that_do_not_fit_this_machine_are_told(project: Project, install: Install) -> None:
    """Where there is no GPU; the file is a hole of eight terabytes."""
    install("mistralrs")
    with (project.root / "weights" / "model-2.safetensors").open("wb") as file:
        file.truncate(8_000_000_000_000)
    point = planned(project.composed("model=weights", "engine=auto"))

    assert "; the weights (8.0 TB) don't fit the memory that jobs have here (" in why(point)


@pytest.mark.usefixtures("two_gpus")
def test_gpu_that_is_not_there_is_refused(project: Project, install: Install) -> None:
    """As in any other plan, rather than taken for a machine without one."""
    install("vllm")
    with pytest.raises(UserError, match=r"cluster\.devices names GPU 7"):
        project.composed("model=weights", "engine=auto", "cluster={kind: local, devices: [7]}")


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ("pyhton: /bin/sh", "engine.pyhton (command line): unknown key\n    did you mean python?"),
        ("python: 5", "engine.python (command line): no interpreter 5"),
        ("python: /no/such", "engine.python (command line): no interpreter /no/such"),
    ],
)
def test_setting_that_is_none_is_told(project: Project, settings: str, problem: str) -> None:
    """Rather than that no engine takes it."""
    told = project.refused("model=weights", f"engine={{kind: auto, {settings}}}")

    assert told.startswith(problem)
    assert "auto finds no engine" not in told


def test_faults_of_the_config_are_told_as_ever(project: Project) -> None:
    """What is wrong whichever engine it is, such as weights that aren't there or a value that is none."""
    assert project.refused("model=./wieghts", "engine=auto").startswith("model.name")
    assert project.refused("model=weights", "engine=auto", "sampling.top_p=-1").startswith("sampling.top_p")


def test_editors_take_auto_with_settings() -> None:
    """The schema leaves them to whichever kind it turns out to be."""
    takes = jsonschema.Draft202012Validator(json_schema()).is_valid

    assert takes({"model": "tiny", "engine": {"kind": "auto", "python": "/opt/vllm/bin/python"}})
    assert not takes({"model": "tiny", "engine": {"kind": "none", "python": "/opt/vllm/bin/python"}})


@pytest.mark.parametrize(
    ("model", "kind", "name"),
    [
        ("openai:gpt-5", "openai", "gpt-5"),
        ("together:org/chat", "together", "org/chat"),
        ("anthropic:claude-opus-4-1", "anthropic", "claude-opus-4-1"),
    ],
)
def test_model_of_an_engine_that_auto_never_is_points_to_that_engine(
    project: Project, model: str, kind: str, name: str
) -> None:
    """Auto chooses for local weights; what a provider has is asked through the engine that asks it."""
    told = project.refused(f"model={model}", "engine=auto")

    assert told == (
        f"engine (command line): auto stands for engines that load local weights, and {model} names {kind}\n"
        f"    write engine={kind} model.name={name}"
    )
    file = project.file(BASE.replace("model: small", f"model: {model}") + "engine: auto\n")
    assert f"{model} names {kind}\n    write engine={kind} model.name={name}" in project.refused(file=file)


@pytest.mark.parametrize("kind", ["mistralrs", "vllm_offline", "sglang_offline"])
def test_weights_of_another_engine_are_left_to_auto(project: Project, install: Install, kind: str) -> None:
    """Weights are weights, whichever engine was named with them."""
    install("transformers", modules=("torch", "transformers"))
    point = planned(project.composed(f"model={kind}:weights", "engine=auto"))

    assert why(point).startswith("engine: auto is transformers")


@pytest.mark.parametrize("engine", ["auto", "vllm", "mistralrs"])
@pytest.mark.parametrize(
    ("name", "kind", "bare"),
    [
        ("gpt-5", "openai", "gpt-5"),
        ("o3", "openai", "o3"),
        ("openai:gpt-5", "openai", "gpt-5"),
        ("together:org/chat", "together", "org/chat"),
        ("claude-opus-4-1", "anthropic", "claude-opus-4-1"),
    ],
)
def test_providers_model_on_an_engine_that_loads_weights_points_to_the_provider(
    project: Project, engine: str, name: str, kind: str, bare: str
) -> None:
    """By its prefix, or by what providers' models are called."""
    told = project.refused(f"model.name={name}", f"engine={engine}")

    assert told.startswith(f"model.name (command line): {name} is neither a folder")
    assert told.endswith(f"\n    if {kind} serves it: engine={kind} model.name={bare}")


def test_providers_model_that_is_no_option_points_to_the_provider(project: Project) -> None:
    """Beside what else a model may be."""
    told = project.refused("model=gpt-5")

    assert "\n    if openai serves it: engine=openai model.name=gpt-5; options: " in told
