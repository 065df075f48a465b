"""The command lines of servers of weights, and what they are refused.

vLLM and SGLang are started with theirs by tests/contract. candle-vllm and OpenLLM never are: theirs are taken
from their documentation, and tests/work/test_work_binaries.py starts a stub with them.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from runner.engines.base import EngineKind
from runner.engines.candle_vllm import command as candle_vllm
from runner.engines.openllm import command as openllm
from runner.engines.registry import engine_kinds
from runner.engines.served import ServerSettings, launched
from runner.engines.server_arguments import flags
from runner.engines.sglang import SERVING as SGLANG
from runner.engines.sglang import command as sglang
from runner.engines.vllm import SERVING as VLLM
from runner.engines.vllm import command as vllm
from runner.identity import make_scope
from runner.spec import Model, Topology
from runner.values import Json, Request, Scope

TINY = Path(__file__).resolve().parents[2] / "models" / "tiny"
PYTHON = "/env/bin/python"
FOUR = Topology(tensor_parallel_size=2, data_parallel_size=2)


def settings(kind: str, **given: Any) -> ServerSettings:
    """Return settings of a kind whose environment lies elsewhere."""
    return made(kind, **{"python": PYTHON, **given})


def made(kind: str, **given: Any) -> ServerSettings:
    """Return settings of a kind."""
    settings = engine_kinds()[kind].settings.model_validate(given)
    assert isinstance(settings, ServerSettings)
    return settings


def faults(kind: str, model: Model | None = None, **given: Any) -> str:
    """Return what would stop a server of these settings."""
    described: EngineKind = engine_kinds()[kind]
    return "\n".join(map(str, described.check(described.settings(**given), model or Model(name="m"))))


def pairs(command: list[str]) -> dict[str, str]:
    """Return flag -> the word after it."""
    return dict(pairwise(command))


def test_vllm_command_says_all_that_the_job_does() -> None:
    """Sizes, the weights' own dtype, a neutral generation config, and the user's arguments verbatim."""
    args = {"max-model-len": 4096, "enforce-eager": True, "lora-modules": ["a=x", "b=y"]}
    given = settings("vllm", args=args)
    words = vllm(given, launched(given, Model(name=str(TINY)), FOUR, 8123))

    assert words[:5] == [PYTHON, "-m", "vllm.entrypoints.cli.main", "serve", str(TINY)]
    said = pairs(words)
    assert (said["--served-model-name"], said["--host"], said["--port"]) == ("tiny", "127.0.0.1", "8123")
    assert (said["--tensor-parallel-size"], said["--data-parallel-size"]) == ("2", "2")
    assert (said["--dtype"], said["--generation-config"]) == ("float32", "vllm")
    assert words[-7:-4] == ["--max-model-len", "4096", "--enforce-eager"]
    assert words[-4:] == ["--lora-modules", "a=x", "--lora-modules", "b=y"]


def test_vllm_reads_calls_of_any_kind_once_it_has_a_parser() -> None:
    """Those that the model makes of its own accord too, unless the user says no."""

    def words(**args: Any) -> list[str]:
        given = settings("vllm", args=args)
        return vllm(given, launched(given, Model(name=str(TINY)), FOUR, 8123))

    assert "--enable-auto-tool-choice" in words(tool_call_parser="hermes")
    assert "--enable-auto-tool-choice" not in words()
    assert "--enable-auto-tool-choice" not in words(
        tool_call_parser="hermes", **{"enable-auto-tool-choice": False}
    )


def test_sglang_is_sent_the_tool_that_is_forced_alone() -> None:
    """It would let the model call any of them; where none has the name, it has them all to complain of."""

    def sent(kind: str, choice: Json) -> list[str]:
        tools = [{"type": "function", "function": {"name": name}} for name in ("add", "reverse")]
        serving = {"sglang": SGLANG, "vllm": VLLM}[kind]
        sampling = {"tools": tools, "tool_choice": choice}
        body = serving.body("m", None)(Request("chat", (), sampling, Scope({}, {})))
        return [tool["function"]["name"] for tool in body["tools"]]

    forced = {"type": "function", "function": {"name": "reverse"}}
    assert sent("sglang", forced) == ["reverse"]
    assert sent("sglang", {"type": "function", "function": {"name": "no"}}) == ["add", "reverse"]
    assert sent("sglang", "required") == sent("vllm", forced) == ["add", "reverse"]


def test_sglang_command_says_all_that_the_job_does() -> None:
    """The same in SGLang's own words."""
    given = settings("sglang", device="cpu", args={"attention-backend": "torch_native"})
    words = sglang(given, launched(given, Model(name=str(TINY)), FOUR, 8123))

    assert words[:3] == [PYTHON, "-m", "sglang.launch_server"]
    said = pairs(words)
    assert (said["--model-path"], said["--served-model-name"]) == (str(TINY), "tiny")
    assert (said["--tp-size"], said["--dp-size"], said["--dtype"]) == ("2", "2", "float32")
    assert (said["--sampling-defaults"], said["--device"]) == ("openai", "cpu")
    assert words[-2:] == ["--attention-backend", "torch_native"]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({"a-b": True}, ["--a-b"]),
        ({"a-b": False}, []),
        ({"ab": 1, "b-c": "x y"}, ["--ab", "1", "--b-c", "x y"]),
        ({"ab": [1, 2]}, ["--ab", "1", "--ab", "2"]),
        ({"O3": True, "q": "fp8"}, ["--O3", "-q", "fp8"]),
        ({"ab": 0.9}, ["--ab", "0.9"]),
    ],
)
def test_arguments_become_flags(args: dict[str, Any], words: list[str]) -> None:
    """True is a bare flag, false none, a list repeats it."""
    assert flags(args) == words


@pytest.mark.parametrize("kind", ["vllm", "sglang"])
def test_flag_that_the_job_sets_is_refused_with_the_key_to_use(kind: str) -> None:
    """In either spelling of the flag."""
    flag = {"vllm": "tensor_parallel_size", "sglang": "tp-size"}[kind]

    assert "set topology.tensor_parallel_size instead" in faults(kind, args={flag: 2}, python=PYTHON)


@pytest.mark.parametrize("kind", ["vllm", "sglang"])
def test_arguments_for_a_server_that_runs_already_are_refused(kind: str) -> None:
    """Nobody would read them; nor can its dtype be set."""
    model = Model(name="m", dtype="float32")
    told = faults(kind, model, base_url="http://h:1/v1", args={"a": 1}, env={"B": "1"})

    assert "engine.args: only a server that the job starts takes it" in told
    assert "engine.env" in told
    assert "model.dtype: " in told


def test_missing_interpreter_is_told(tmp_path: Path) -> None:
    """engine.python names a file."""
    assert f"no interpreter {tmp_path / 'python'}" in faults("vllm", python=str(tmp_path / "python"))


def test_attached_server_needs_no_package_and_no_gpu() -> None:
    """What it runs on is its own affair."""
    kind = engine_kinds()["vllm"]
    attached = made("vllm", base_url="http://h:1/v1")

    assert kind.missing(attached) is None
    assert kind.devices(attached, FOUR) == 0
    assert kind.devices(settings("vllm"), FOUR) == 4
    assert kind.devices(settings("vllm", device="cpu"), FOUR) == 0


def test_candle_vllm_command_is_as_its_readme_has_it() -> None:
    """One-letter flags take two dashes; weights by folder or by hub name, dtype in its own words."""
    given = made("candle_vllm", binary="/opt/candle-vllm", args={"fp8-kvcache": True})
    start = launched(given, Model(name=str(TINY), quantization="q4k"), Topology(tensor_parallel_size=2), 8123)
    words = candle_vllm(given, start)

    assert words[:5] == ["/opt/candle-vllm", "--p", "8123", "--d", "0,1"]
    assert words[5:] == ["--dtype", "f32", "--isq", "q4k", "--w", str(TINY), "--fp8-kvcache"]
    hub = launched(given, Model(name="org/name"), Topology(), 1)
    assert candle_vllm(given, hub)[-3:] == ["--m", "org/name", "--fp8-kvcache"]


def test_candle_vllm_is_given_the_snapshot_that_the_key_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes no revision: what lies in the hub cache is given as a folder, the rest is refused."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    snapshot = tmp_path / "models--org--name" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    there, elsewhere = (Model(name="org/name", revision=revision) for revision in ("abc", "def"))
    given = made("candle_vllm", binary="true")

    assert candle_vllm(given, launched(given, there, Topology(), 1))[-2:] == ["--w", str(snapshot)]
    assert "model.revision" not in faults("candle_vllm", there, binary="true")
    told = faults("candle_vllm", elsewhere, binary="true")
    assert "model.revision: candle_vllm would download the newest: it takes no revision" in told
    assert "hf download org/name --revision def" in told
    assert "model.revision" not in faults("candle_vllm", elsewhere, base_url="http://h:1/v1")


def test_openllm_has_no_sizes() -> None:
    """Nothing of the topology would reach it."""
    assert engine_kinds()["openllm"].capabilities.topology == frozenset()


@pytest.mark.parametrize("kind", ["vllm", "sglang", "openllm", "candle_vllm"])
def test_keys_for_a_server_that_the_job_starts_are_refused(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked without any."""
    monkeypatch.setenv("KEY", "sk-0123456789")
    given: dict[str, Any] = {"api_key_env": "KEY", "headers_env": {"x-a": "KEY"}}

    for name in given:
        assert f"engine.{name}: a server that the job starts takes none" in faults(kind, **given)
    assert faults(kind, base_url="http://h:1/v1", **given) == ""


@pytest.mark.parametrize("kind", ["vllm", "sglang"])
def test_name_of_a_server_that_the_job_starts_is_the_jobs_to_give(kind: str) -> None:
    """Only where somebody else started it has it another."""
    given: dict[str, Any] = {"served_model_name": "mine"}

    assert "engine.served_model_name: a server that the job starts is given its name" in faults(kind, **given)
    assert faults(kind, base_url="http://h:1/v1", **given) == ""


def test_vllm_is_started_without_the_users_key() -> None:
    """The key of another server would lock the job out of its own."""
    assert VLLM.env["VLLM_API_KEY"] == ""


def test_openllm_command_names_the_catalogues_model() -> None:
    """What the server calls the model may be another name."""
    given = made("openllm", binary="/opt/openllm", served_model_name="meta-llama/Llama-3.2-1B-Instruct")
    start = launched(given, Model(name="llama3.2:1b"), Topology(), 8123)

    assert openllm(given, start) == ["/opt/openllm", "serve", "llama3.2:1b", "--port", "8123"]
    assert start.name == "meta-llama/Llama-3.2-1B-Instruct"


def test_revision_that_openllm_cant_be_told_is_refused() -> None:
    """Its catalogue's versions are part of a name; a server that runs already may be said to serve one."""
    told = faults("openllm", Model(name="llama3.2", revision="1b"), binary="true")
    assert "model.revision: openllm takes no revision: a version of its catalogue stands in the name" in told
    assert "such as model.name=llama3.2:1b" in told

    versioned = Model(name="llama3.2:1b", revision="abc")
    assert "model.revision" in faults("openllm", versioned, binary="true")
    assert "llama3.2:1b:abc" not in faults("openllm", versioned, binary="true")
    assert faults("openllm", versioned, base_url="http://h:1/v1") == ""


def test_missing_program_is_told_before_anything_starts() -> None:
    """A program that isn't on PATH can't serve."""
    assert "engine.binary: no program candle-vllm on PATH" in faults("candle_vllm")


def test_arguments_of_speed_and_loudness_stay_out_of_the_key() -> None:
    """They change no answer; others do."""

    def identity(**args: Any) -> dict[str, Any]:
        kind = engine_kinds()["vllm"]
        given = settings("vllm", args={flag.replace("_", "-"): value for flag, value in args.items()})
        return dict(make_scope(Model(name="org/name"), given, kind).engine)

    assert identity(gpu_memory_utilization=0.5, max_model_len=9) == identity(max_model_len=9)
    assert identity(max_model_len=9) != identity(max_model_len=8)


def test_hub_model_is_started_at_the_commit_that_its_key_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A branch that moves on between plan and start changes nothing."""
    snapshot = tmp_path / "models--org--name" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (tmp_path / "models--org--name" / "refs").mkdir()
    (tmp_path / "models--org--name" / "refs" / "main").write_text("abc")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    start = launched(settings("vllm"), Model(name="org/name"), Topology(), 1)

    assert (start.weights, start.revision, start.name) == ("org/name", "abc", "org/name")
