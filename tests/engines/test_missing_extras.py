"""What isn't installed is told with the line that installs it, by the plan and by the engine itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from runner.engines.registry import engine_kinds
from runner.extras import pip_install
from runner.shipped import shipped
from tests.providers.wire import KEY, KEYS

TINY = shipped() / "models" / "tiny"
EXTRAS = {
    "openai": "openai",
    "anthropic": "anthropic",
    "mistral": "mistral",
    "google": "google",
    "together": "together",
    "mistralrs": "embedded",
    "transformers": "transformers",
    "vllm": "vllm",
    "vllm_offline": "vllm",
    "sglang": "sglang",
    "sglang_offline": "sglang",
}
"""Engine kind -> the extra that installs what it needs."""
HIDDEN = (
    "openai",
    "anthropic",
    "mistralai",
    "google",
    "together",
    "mistralrs",
    "transformers",
    "vllm",
    "sglang",
)
"""Modules, and what the folders of their distributions begin with."""
IN_THIS_PROCESS = [kind for kind in EXTRAS if kind not in {"vllm", "sglang"}]

PROGRAM = """
import asyncio, json, sys
from pathlib import Path
from runner.commands.launchable import less_stopped
from runner.config import compose
from runner.engines.registry import engine_kinds
from runner.errors import ConfigError, EngineStartError
from runner.plan import make_plan
from runner.spec import Model

async def started(kind):
    try:
        async with kind.create(kind.settings.model_validate({}), Model(name=sys.argv[2])):
            return "started"
    except EngineStartError as error:
        return str(error)

told = {}
for name in json.loads(sys.argv[1]):
    file = Path(f"{name}.yaml")
    file.write_text(json.dumps({
        "model": {"name": sys.argv[2]}, "engine": name, "prompt": "{{ row.q }}", "dataset": "rows.jsonl"
    }))
    try:
        less_stopped(make_plan(compose(file, ())), skip_refused=False)
    except ConfigError as error:
        told[name] = [str(error), asyncio.run(started(engine_kinds()[name]))]
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What the plan and the engine say, by kind, where everything but the engines' packages is installed."""
    site, project = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("project")
    for entry in Path(sysconfig.get_paths()["purelib"]).iterdir():
        if not entry.name.startswith(HIDDEN) and entry.suffix != ".pth":
            (site / entry.name).symlink_to(entry)
    (project / "rows.jsonl").write_text('{"q": "Hi"}\n')
    done = subprocess.run(
        [sys.executable, "-S", "-c", PROGRAM, json.dumps(list(EXTRAS)), str(TINY)],
        capture_output=True,
        text=True,
        check=True,
        cwd=project,
        env={
            **os.environ,
            **dict.fromkeys(KEYS.values(), KEY),
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), str(site)]),
            "XDG_CONFIG_HOME": str(project),
        },
    )
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found


def test_every_kind_that_needs_a_package_is_tried() -> None:
    """A new one can't be forgotten."""
    needing = {name for name, kind in engine_kinds().items() if kind.distribution}

    assert needing == set(EXTRAS)


@pytest.mark.parametrize("kind", EXTRAS)
def test_plan_says_what_to_type(told: dict[str, list[str]], kind: str) -> None:
    """Before anything is asked or started."""
    distribution = engine_kinds()[kind].distribution

    problem = f"): {kind} needs {distribution}, which is not installed\n    {pip_install(EXTRAS[kind])}"
    before, _, _ = told[kind][0].partition(problem)
    assert before != told[kind][0]
    assert before.splitlines()[-1].startswith("engine.kind (")


@pytest.mark.parametrize("kind", IN_THIS_PROCESS)
def test_engine_says_what_to_type(told: dict[str, list[str]], kind: str) -> None:
    """A worker may run elsewhere than the plan was made."""
    assert f"not installed: {pip_install(EXTRAS[kind])}" in told[kind][1]
