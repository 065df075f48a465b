"""Everything that a user writes is honoured, refused by name, or declared here to change no answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from runner.data import open_rows
from runner.engines import candle_vllm, openllm, sglang, vllm
from runner.engines.remote import AttachedSettings, RemoteSettings
from runner.engines.served import launched
from runner.errors import AskError, ConfigError
from runner.jobs import DatasetFile
from runner.plan import Plan
from runner.prepare import specify_point
from runner.spec import CsvDataset, JsonlDataset, Model, ParquetDataset, Prompt, Topology
from runner.values import Request, Scope
from tests.http_server import HttpServer
from tests.rules.cases import FORCED, TOOL
from tests.rules.rules_kit import SUBJECTS, TINY, Subject
from tests.rules.test_passthrough_wires import ROOTED

COMMANDS: Mapping[str, Any] = {
    "vllm": vllm.command,
    "sglang": sglang.command,
    "candle_vllm": candle_vllm.command,
    "openllm": openllm.command,
}
ARGUMENTS: Mapping[str, Any] = {"vllm_offline": vllm.arguments, "sglang_offline": sglang.arguments}
DECLARED: Mapping[str, str] = {
    "concurrency": "how many requests are in flight",
    "timeout": "how long one may take",
    "max_attempts": "how often it is tried",
    "stream": "how an answer travels; its times are recorded",
    "max_response_bytes": "the largest body that is read",
    "batch_size": "how many inputs share a request of task embed; a note says where it is not used",
    "startup_timeout": "how long a start may take",
    "env": "the environment of a server, in its process alone",
    "max_tokens_field": "how a parameter is spelled",
    "latency": "a time",
    "latency_jitter": "a time",
    "start_seconds": "a time",
    "error_rate": "how often an attempt fails",
    "error": "how it fails",
    "seed": "which attempts fail",
}
"""Settings of engines that change no plan, and what they are."""

VALUES: Mapping[str, Any] = {
    "concurrency": 3,
    "timeout": 5.0,
    "max_attempts": 2,
    "stream": True,
    "max_response_bytes": 1000,
    "batch_size": 7,
    "startup_timeout": 9.0,
    "env": {"A": "b"},
    "api_key_env": "OPENAI_API_KEY",
    "headers_env": {"X-Team": "OPENAI_API_KEY"},
    "base_url": "http://127.0.0.1:2",
    "served_model_name": "other",
    "args": {"odd-flag": 1},
    "python": "/bin/cat",
    "binary": "/bin/cat",
    "generation_config": "model",
    "max_tokens_field": "max_completion_tokens",
    "api_version": "v1",
    "legacy_sampling": True,
    "template": "x",
    "latency": 0.1,
    "latency_jitter": 0.1,
    "error_rate": 0.5,
    "error": "timeout",
    "seed": 3,
    "start_seconds": 0.1,
    "gpus": 1,
}
"""Setting of an engine -> another value than its default."""

SAMPLING: Mapping[str, Any] = {
    "temperature": 0.25,
    "top_p": 0.25,
    "top_k": 3,
    "min_p": 0.25,
    "max_tokens": 3,
    "min_tokens": 2,
    "stop": ["x"],
    "stop_token_ids": [3],
    "ignore_eos": True,
    "seed": 3,
    "n": 2,
    "logprobs": True,
    "top_logprobs": 2,
    "prompt_logprobs": 2,
    "return_token_ids": True,
    "presence_penalty": 0.5,
    "frequency_penalty": 0.5,
    "repetition_penalty": 1.5,
    "logit_bias": {"3": 1.0},
    "use_beam_search": True,
    "length_penalty": 2.0,
    "json_schema": {"type": "object"},
    "regex": "a",
    "choice": ["a"],
    "tools": [TOOL],
    "tool_choice": FORCED,
    "reasoning_effort": "low",
    "continue_final_message": True,
    "chat_template_kwargs": {"odd": 1},
    "passthrough": {"odd": 1},
}
BESIDE: Mapping[str, Mapping[str, Any]] = {
    "top_logprobs": {"logprobs": True},
    "tool_choice": {"tools": [TOOL]},
}
MODEL: Mapping[str, Any] = {
    "revision": "main",
    "dtype": "bfloat16",
    "quantization": "fp8",
    "tokenizer": TINY,
    "chat_template": "chat.jinja",
    "adapter": "nobody/nothing",
    "omit": ["temperature"],
}
PROMPT: Mapping[str, Any] = {
    "template": {"template": "t"},
    "system": {"user": "{{ row.q }}", "system": "x"},
    "user": {"user": "other {{ row.q }}"},
    "images": {"user": "{{ row.q }}", "images": "{{ row.q }}"},
    "turns": {"turns": [{"user": "{{ row.q }}"}, {"generate": "a"}, {"user": "x"}]},
    "token_ids": {"token_ids": "{{ row.q }}"},
    "messages": {"messages": "q"},
    "pair": {"pair": ["{{ row.q }}", "x"]},
    "query": {"query": "{{ row.q }}", "documents": ["x"]},
    "documents": {"query": "{{ row.q }}", "documents": ["y"]},
    "context": {"context": "{{ row.q }}", "continuations": ["x"]},
    "continuations": {"context": "{{ row.q }}", "continuations": ["y"]},
}
ROWS = [{"key": str(number), "q": "1"} for number in range(6)]
EVERY = pytest.mark.parametrize(
    "subject", [one for one in SUBJECTS if one.variant in {"attached", "started"}], ids=str
)


def observed(subject: Subject, plan: Plan) -> bytes:
    """Return all of a plan that changes what is requested, of whom, and on which devices."""
    (planned,) = plan.points
    experiment = planned.experiment
    spec = specify_point(planned, DatasetFile("", "", 0, 0))
    engine, model = experiment.engine, experiment.model
    seen: list[Any] = [
        spec.scope,
        spec.sampling,
        spec.prompt,
        planned.notes,
        planned.kind.devices(engine, experiment.topology),
    ]
    if isinstance(engine, RemoteSettings):
        seen += [engine.secret_names(), getattr(engine, "base_url", None)]
    if isinstance(engine, AttachedSettings):
        seen.append(engine.asked_for(model))
    if planned.kind.loads(engine) and subject.kind.name in {*COMMANDS, *ARGUMENTS}:
        start = launched(engine, model, experiment.topology, 1, subject.task)
        made = COMMANDS.get(subject.kind.name)
        seen.append(made(engine, start) if made else ARGUMENTS[subject.kind.name](engine, start, {}))
    return msgspec.json.encode(seen)


def unheeded(subject: Subject, folder: Path, plain: bytes, place: str, **keys: Any) -> bool:
    """Tell whether keys change nothing, and nobody is told so by their name."""
    try:
        return observed(subject, subject.planned(folder, {}, ROWS, **keys)) == plain
    except ConfigError as error:
        refused = [fault.place for fault in error.faults]
    assert any(one.startswith(place) for one in refused), refused
    return False


@EVERY
def test_setting_of_an_engine_is_heeded_or_refused(subject: Subject, tmp_path: Path) -> None:
    """Or declared above; what is declared and does change a plan has to go from there."""
    plain = observed(subject, subject.planned(tmp_path, {}, ROWS))
    for name in subject.kind.settings.model_fields.keys() - {"kind", *DECLARED}:
        value = VALUES.get(name)
        if name == "device":
            value = "cuda"
        elif name == "api_key_env" and subject.kind.name == "openai":
            value = "XAI_API_KEY"
        assert value is not None, f"a value for engine.{name}"
        # What a server is started with is refused beside an address.
        place = "engine." if name == "base_url" else f"engine.{name}"
        if unheeded(subject, tmp_path, plain, place, engine={name: value}):
            assert _says_nothing(subject, name), f"engine.{name}"


def _says_nothing(subject: Subject, name: str) -> bool:
    """Tell whether a setting is at its default here, or about sampling where there is none."""
    if name == "device":
        return "base_url" in subject.engine  # the default
    return name in {"generation_config", "legacy_sampling"} and subject.task not in {"chat", "complete"}


@EVERY
def test_size_of_the_topology_is_heeded_or_refused(subject: Subject, tmp_path: Path) -> None:
    """Beside an address, too."""
    gpus = {"gpus": 1} if subject.kind.name == "fake" else {}
    plain = observed(subject, subject.planned(tmp_path, {}, ROWS, engine=gpus))
    for name in Topology.model_fields:
        sizes = {name: 2}
        assert not unheeded(subject, tmp_path, plain, f"topology.{name}", engine=gpus, topology=sizes), name


@EVERY
def test_key_of_a_model_is_heeded_or_refused(subject: Subject, tmp_path: Path) -> None:
    """In the request key at least."""
    (tmp_path / "chat.jinja").write_text("{{ messages }}")
    plain = observed(subject, subject.planned(tmp_path, {}, ROWS))
    assert MODEL.keys() == Model.model_fields.keys() - {"name"}
    for name, value in MODEL.items():
        if unheeded(subject, tmp_path, plain, f"model.{name}", model={name: value}):
            assert name == "omit", name
            assert "temperature" not in subject.honoured.defaults or subject.task not in {"chat", "complete"}


@EVERY
def test_sampling_is_in_the_plan(subject: Subject, tmp_path: Path) -> None:
    """Each parameter that is taken, with the value that was written."""
    assert (
        SAMPLING.keys()
        == type(subject.planned(tmp_path, {}, ROWS).points[0].experiment.sampling).model_fields.keys()
    )
    for name in subject.takes:
        if name in {"continue_final_message", "length_penalty"}:
            continue  # the prompt has to go with it, and beam search
        values = {name: SAMPLING[name], **BESIDE.get(name, {})}
        assert subject.planned(tmp_path, values, ROWS).points[0].sampling[name] == SAMPLING[name]


@pytest.mark.parametrize("subject", [one for one in SUBJECTS if one.variant == "attached"], ids=str)
def test_sampling_is_in_the_request(subject: Subject) -> None:
    """What a server is sent is another request with each parameter than without."""
    content: Any = ({"role": "user", "content": "1"}, {"role": "assistant", "content": "2"})
    if subject.task not in {"chat", "complete"}:
        return  # what they are sent is the passthrough's other test
    asked = [{}, *({name: SAMPLING[name], **BESIDE.get(name, {})} for name in subject.takes)]

    async def bodies(url: str, server: HttpServer) -> list[Any]:
        settings = {**subject.engine, "base_url": url if subject.kind.name in ROOTED else f"{url}/v1"}
        found = []
        async with subject.kind.create(
            subject.kind.settings.model_validate(settings), Model(name="m")
        ) as engine:
            for values in asked:
                sampling = {**subject.needed(), **values}
                request = Request(
                    subject.task, content if subject.task == "chat" else "1", sampling, Scope({}, {})
                )
                with pytest.raises(AskError):
                    await engine.generate(request)
                found.append(json.loads(server.received[-1].body))
        return found

    with HttpServer({}) as server:
        plain, *others = asyncio.run(bodies(server.url(""), server))
    for values, body in zip(asked[1:], others, strict=True):
        name = next(iter(values))
        beside = BESIDE.get(name, {})
        if name == "continue_final_message" and subject.kind.name == "anthropic":
            continue  # it goes on from a last message of its own accord
        assert body != plain, name
        if beside and name != "top_logprobs":
            assert body != others[asked[1:].index({next(iter(beside)): SAMPLING[next(iter(beside))]})], name


@EVERY
def test_form_of_a_prompt_is_heeded_or_refused(subject: Subject, tmp_path: Path) -> None:
    """Whatever the task."""
    template = tmp_path / "templates" / "t"
    template.mkdir(parents=True)
    (template / "user.j2").write_text("template {{ row.q }}")
    plain = observed(subject, subject.planned(tmp_path, {}, ROWS))
    assert PROMPT.keys() == Prompt.model_fields.keys()
    for name, prompt in PROMPT.items():
        assert not unheeded(subject, tmp_path, plain, "prompt", prompt=prompt), name


DATASET: Mapping[str, Any] = {
    "path": {"path": "other.jsonl"},
    "id": {"id": "key"},
    "offset": {"offset": 1},
    "limit": {"limit": 2},
    "shuffle": {"shuffle": True},
    "seed": {"seed": 3},
    "shard": {"shard": {"index": 0, "count": 2}},
    "kind": {"kind": "csv"},
    "delimiter": {"delimiter": ";"},
    "columns": {"columns": ["q"]},
}


def test_key_of_a_dataset_is_heeded_or_refused(tmp_path: Path) -> None:
    """It changes the rows, their order or their ids; the target is the scorers'."""
    subject = next(one for one in SUBJECTS if one.kind.name == "fake")
    (tmp_path / "other.jsonl").write_text('{"q": "2"}\n')

    def rows(declared: Mapping[str, Any]) -> Any:
        plan = subject.planned(tmp_path, {}, ROWS, dataset={"path": "rows.jsonl", **declared})
        return [(row.id, row.data) for row in open_rows(plan.points[0].experiment.dataset)]

    plain = rows({})
    kinds = (JsonlDataset, CsvDataset, ParquetDataset)
    assert DATASET.keys() | {"target"} == {name for kind in kinds for name in kind.model_fields}
    for name, declared in DATASET.items():
        try:
            found = rows(declared)
        except ConfigError as error:
            found = [fault.place for fault in error.faults]
        assert found != plain, name
        refused = found if name in {"seed", "delimiter", "columns"} else []
        assert all(place == f"dataset.{name}" for place in refused)
