"""LoRA adapters as they are found, named to servers, and identified."""

from __future__ import annotations

import asyncio
import json
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from runner.engines.adapters import find_adapter
from runner.engines.openai_endpoint import Endpoint
from runner.engines.openai_engine import OpenAIEngine
from runner.engines.registry import engine_kinds
from runner.engines.served import ServerSettings, launched
from runner.engines.sglang import command as sglang
from runner.engines.vllm import command as vllm
from runner.errors import ConfigError, UserError
from runner.extras import pip_install
from runner.identity import make_scope, require_same_model
from runner.plan import make_plan
from runner.shipped import shipped
from runner.spec import Model, Topology
from runner.values import Request, Scope
from tests.config.config_kit import Project, made
from tests.engines.scripted_server import Reply, serving

COLD = "sampling.temperature=null"
TINY = shipped() / "models" / "tiny"


@pytest.fixture(autouse=True)
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub cache of the test's own, and a memo of hashes of its own."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "hub"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return made(tmp_path / "project")


def adapter(folder: Path, rank: int = 8, **config: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "adapter_config.json").write_text(json.dumps({"r": rank, **config}))
    return folder


def settings(kind: str, **given: Any) -> ServerSettings:
    made = engine_kinds()[kind].settings.model_validate({"python": "/env/bin/python", **given})
    assert isinstance(made, ServerSettings)
    return made


def faults(kind: str, model: Model, **given: Any) -> str:
    described = engine_kinds()[kind]
    return "\n".join(map(str, described.check(described.settings(**given), model)))


@pytest.mark.parametrize(("rank", "room"), [(8, "8"), (9, "16"), (64, "64"), (600, "600")])
def test_vllm_is_given_the_adapter_with_room_for_its_rank(rank: int, room: str, tmp_path: Path) -> None:
    """The flag takes a few sizes only; the largest rank of any layer counts."""
    folder = adapter(tmp_path / "a=b", 4, rank_pattern={"q_proj": rank})
    given = settings("vllm")
    words = vllm(given, launched(given, Model(name=str(TINY), adapter=str(folder)), Topology(), 1))

    said = dict(pairwise(words))
    assert "--enable-lora" in words
    assert said["--max-lora-rank"] == room
    assert json.loads(said["--lora-modules"]) == {"name": "llm-runner-adapter", "path": str(folder)}


def test_sglang_is_given_the_adapter(tmp_path: Path) -> None:
    """It finds the rank out by itself."""
    folder = adapter(tmp_path / "a")
    given = settings("sglang")
    words = sglang(given, launched(given, Model(name=str(TINY), adapter=str(folder)), Topology(), 1))

    assert "--enable-lora" in words
    assert json.loads(dict(pairwise(words))["--lora-paths"])["lora_path"] == str(folder)


@pytest.mark.parametrize(
    ("kind", "told"),
    [("vllm", {"model": "llm-runner-adapter"}), ("sglang", {"lora_path": "llm-runner-adapter"})],
)
def test_every_request_asks_for_the_adapter(kind: str, told: dict[str, str], tmp_path: Path) -> None:
    """In the field that the server has for it; without an adapter none does."""
    from runner.engines.sglang import SERVING as SGLANG
    from runner.engines.vllm import SERVING as VLLM

    serving = {"vllm": VLLM, "sglang": SGLANG}[kind]
    given = settings(kind)
    start = launched(given, Model(name=str(TINY), adapter=str(adapter(tmp_path / "a"))), Topology(), 1)
    request = Request("complete", "1+1=", {"max_tokens": 2}, Scope({}, {}))
    plain = {"model": "tiny", "prompt": "1+1=", "max_tokens": 2}

    assert serving.body("tiny", start.adapter)(request) == plain | told
    assert serving.body("tiny", None)(request) == plain


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("vllm", {"model": "llm-runner-adapter"}),
        ("sglang", {"model": "tiny", "lora_path": "llm-runner-adapter"}),
    ],
)
def test_what_is_answered_with_numbers_asks_for_the_adapter(
    kind: str, told: dict[str, str], tmp_path: Path
) -> None:
    """In the field in which a chat does."""
    from runner.engines.sglang import SERVING as SGLANG
    from runner.engines.vllm import SERVING as VLLM

    how = {"vllm": VLLM, "sglang": SGLANG}[kind]
    found = find_adapter(str(adapter(tmp_path / "a")))

    async def sent() -> dict[str, Any]:
        async with serving(Reply({"data": [{"embedding": [1.0]}]})) as server:
            endpoint = Endpoint(
                kind,
                server.url,
                how.body("tiny", found),
                model="tiny",
                further=how.further(found),
                wires=how.wires,
            )
            async with OpenAIEngine(endpoint) as engine:
                await engine.generate(Request("embed", "x", {}, Scope({}, {})))
            return server.sent[0].body

    assert asyncio.run(sent()) == {"input": ["x"], "encoding_format": "base64"} | told


@pytest.mark.parametrize("task", ["classify", "rerank", "score"])
def test_adapter_is_refused_for_a_task_that_would_leave_it_out(
    task: str, project: Project, tmp_path: Path
) -> None:
    """Of SGLang's routes those for vectors, rewards and log probabilities take one."""
    model = f"model={{name: {TINY}, adapter: {adapter(tmp_path / 'a')}}}"
    prompt = {"classify": "{user: x}", "rerank": "{query: q, documents: [a]}", "score": "{pair: [a, b]}"}[
        task
    ]
    asked = ("engine={kind: sglang, python: python3}", f"task={task}", f"prompt={prompt}", "scorers={}", COLD)

    with pytest.raises(ConfigError) as refused:
        make_plan(project.composed(*asked, model))
    assert f"model.adapter (command line): engine sglang takes none for task {task}" in str(refused.value)
    headed = shutil.copytree(TINY, tmp_path / "headed")
    (headed / "config.json").write_text('{"architectures": ["LlamaForSequenceClassification"]}')
    make_plan(project.composed(*asked, f"model={headed}"))
    model = model.replace(str(TINY), str(headed))
    make_plan(project.composed(asked[0], "task=reward", "prompt={user: x}", "scorers={}", COLD, model))


@pytest.mark.parametrize("kind", ["vllm", "vllm_offline", "sglang_offline", "transformers"])
def test_folder_that_is_no_adapter_is_told(kind: str, tmp_path: Path) -> None:
    """So is one that isn't there, with what to type for a hub name."""
    assert "has no adapter_config.json" in faults(kind, Model(name=str(TINY), adapter=str(TINY)))
    absent = faults(kind, Model(name=str(TINY), adapter=str(tmp_path / "no")))
    assert "is neither a folder nor in the local Hugging Face cache" in absent
    assert "hf download org/lora" in faults(kind, Model(name=str(TINY), adapter="org/lora"))


def test_flag_that_gives_an_adapter_is_refused_beside_one(tmp_path: Path) -> None:
    """Beside none it is the user's own affair."""
    model, args = Model(name=str(TINY)), {"lora_modules": "a=b"}
    adapted = model.model_copy(update={"adapter": str(adapter(tmp_path / "a"))})

    assert "set model.adapter instead" in faults("vllm", adapted, args=args)
    assert "engine.args" not in faults("vllm", model, args=args)


@pytest.mark.parametrize("kind", ["sglang", "sglang_offline"])
def test_sglang_takes_no_adapter_on_a_cpu(kind: str, tmp_path: Path) -> None:
    """It would die while it starts; on a GPU it does."""
    model = Model(name=str(TINY), adapter=str(adapter(tmp_path / "a")))

    assert "SGLang takes adapters on a GPU only" in faults(kind, model, device="cpu")
    assert "adapter" not in faults(kind, model)


def test_adapter_of_a_server_that_runs_already_is_its_own_affair() -> None:
    """There it is a model's name."""
    told = faults("vllm", Model(name="m", adapter="org/lora"), base_url="http://h:1/v1")

    assert "model.adapter: vllm can't set it" in told


def test_transformers_says_what_adapters_need(tmp_path: Path) -> None:
    """Peft is an extra of its own."""
    model = Model(name=str(TINY), adapter=str(adapter(tmp_path / "a")))
    told = faults("transformers", model)

    assert (pip_install("peft") in told) != (_has_peft())


def _has_peft() -> bool:
    from importlib.util import find_spec

    return find_spec("peft") is not None


def test_adapter_joins_the_key_by_content(tmp_path: Path) -> None:
    """Wherever it lies; another rank is another adapter, and a run notices the change."""
    kind = engine_kinds()["vllm"]
    scopes = [
        make_scope(Model(name=str(TINY), adapter=str(adapter(tmp_path / name, rank))), settings("vllm"), kind)
        for name, rank in (("a", 8), ("b", 8), ("c", 9))
    ]

    assert scopes[0] == scopes[1]
    assert scopes[0].model["adapter"] != scopes[2].model["adapter"]
    adapter(tmp_path / "a", 16)
    model = Model(name=str(TINY), adapter=str(tmp_path / "a"))
    with pytest.raises(UserError, match=r"adapter .* has changed since this run was launched"):
        require_same_model(model, settings("vllm"), kind, scopes[0])


def test_hub_adapter_joins_the_key_by_commit(hub: Path) -> None:
    """As a hub model does."""
    snapshot = hub / "models--org--lora" / "snapshots" / "c0ffee"
    adapter(snapshot)
    (hub / "models--org--lora" / "refs").mkdir()
    (hub / "models--org--lora" / "refs" / "main").write_text("c0ffee")
    kind = engine_kinds()["vllm"]
    scope = make_scope(Model(name=str(TINY), adapter="org/lora"), settings("vllm"), kind)

    assert scope.model["adapter"] == "org/lora@c0ffee"
