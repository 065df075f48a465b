"""What a provider can't honour is refused before anything is asked, and only what is used is imported."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from runner.config import compose
from runner.engines.registry import engine_kinds
from runner.errors import ConfigError
from runner.identity import make_scope
from runner.plan import Plan, make_plan
from runner.spec import Model
from runner.spec.sampling import Sampling

KINDS = ("openai", "together", "fireworks", "xai", "deepseek")
SDKS = ("openai", "anthropic", "mistralai", "google.genai", "together")

GIVEN: dict[str, Any] = {
    "top_k": 5,
    "min_p": 0.1,
    "min_tokens": 2,
    "stop_token_ids": [1],
    "ignore_eos": True,
    "seed": 1,
    "n": 2,
    "logprobs": True,
    "prompt_logprobs": 1,
    "return_token_ids": True,
    "repetition_penalty": 1.1,
    "logit_bias": {"5": 1},
    "use_beam_search": True,
    "length_penalty": 1.0,
    "json_schema": {"type": "object"},
    "regex": "a+",
    "choice": ["a", "b"],
    "continue_final_message": True,
    "chat_template_kwargs": {"a": 1},
}
"""Values of parameters that not every provider takes."""


def planned(folder: Path, kind: str | dict[str, Any], *, task: str = "chat", **sampling: Any) -> Plan:
    """Plan an experiment on *kind* with these sampling values."""
    (folder / "rows.jsonl").write_text('{"q": "Hi"}\n')
    declared = {
        "model": {"name": "m"},
        "engine": kind if isinstance(kind, dict) else {"kind": kind},
        "task": task,
        "prompt": "{{ row.q }}",
        "dataset": {"path": "rows.jsonl"},
        "sampling": sampling,
        "cluster": {"kind": "inline"},
    }
    (folder / "case.yaml").write_text(json.dumps(declared))
    return make_plan(compose(folder / "case.yaml", ()))


@pytest.mark.parametrize("kind", ["together", "fireworks"])
def test_what_a_models_own_config_may_set_is_sent_at_neutral_values(tmp_path: Path, kind: str) -> None:
    """All of it that has a value which is documented to change nothing."""
    (point,) = planned(tmp_path, kind).points

    assert point.sampling == {"temperature": 1.0, "top_p": 1.0, "min_p": 0.0, "repetition_penalty": 1.0}


def refused(kind: str) -> list[str]:
    """Return the parameters that a kind's table lacks."""
    return [name for name in GIVEN if name not in engine_kinds()[kind].capabilities.sampling]


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in KINDS for name in refused(kind)])
def test_parameter_that_is_not_in_the_table_is_refused_by_name(tmp_path: Path, kind: str, name: str) -> None:
    """The fault names engine and parameter, and who takes it if anyone does."""
    with pytest.raises(ConfigError) as caught:
        planned(tmp_path, kind, **{name: GIVEN[name]})

    # A length_penalty without beam search has a fault of its own beside this one.
    fault = next(fault for fault in caught.value.faults if "can't honour" in fault.problem)
    assert (fault.place, fault.problem) == (f"sampling.{name}", f"engine {kind} can't honour {name}")
    takers = [other.name for other in engine_kinds().values() if name in other.capabilities.takes("chat")]
    assert fault.hint == (f"taken by: {', '.join(takers)}" if takers else "no engine takes it for task chat")


def test_every_parameter_is_either_taken_or_tried_here() -> None:
    """No parameter of ours is missing from both the tables and the list above."""
    taken = set.intersection(*(set(engine_kinds()[kind].capabilities.sampling) for kind in KINDS))
    fields = {*Sampling.model_fields}

    assert fields - taken - {*GIVEN} == {"top_logprobs"} - taken


@pytest.mark.parametrize(
    ("kind", "name", "value", "bound"),
    [
        ("openai", "temperature", 2.5, "up to 2"),
        ("fireworks", "top_k", 200, "up to 100"),
        ("fireworks", "top_logprobs", 9, "up to 5"),
        ("xai", "top_logprobs", 9, "up to 8"),
    ],
)
def test_value_beyond_a_providers_range_is_refused(
    tmp_path: Path, kind: str, name: str, value: Any, bound: str
) -> None:
    """The fault tells the provider's own bound."""
    with pytest.raises(ConfigError, match=bound):
        planned(tmp_path, kind, logprobs=True, **{name: value})


def test_openai_is_sent_nothing_that_nobody_declared(tmp_path: Path) -> None:
    """Its reasoning models refuse to be told even the values they use."""
    (point,) = planned(tmp_path, "openai", max_tokens=5).points

    assert point.sampling == {"max_tokens": 5}


@pytest.mark.parametrize("kind", ["xai", "deepseek"])
def test_task_that_a_provider_lacks_is_refused(tmp_path: Path, kind: str) -> None:
    """The fault names those that complete raw prompts."""
    with pytest.raises(ConfigError, match=f"engine {kind} can't do complete") as caught:
        planned(tmp_path, kind, task="complete")

    assert "openai" in caught.value.faults[0].hint


@pytest.mark.parametrize("kind", KINDS)
def test_address_counts_only_where_it_is_not_the_providers_own(kind: str) -> None:
    """Names of keys are no part of a request's identity; a gateway's address is."""
    described = engine_kinds()[kind]

    def identity(**given: Any) -> Any:
        settings = described.settings.model_validate({"kind": kind, **given})
        return make_scope(Model(name="m"), settings, described).engine

    assert identity() == identity(api_key_env="OTHER", timeout=3) == {"kind": kind}
    assert identity(base_url="http://gateway/v1") == {"kind": kind, "base_url": "http://gateway/v1"}


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_sdk_in_use_is_imported(kind: str) -> None:
    """Making an engine loads its own SDK and none of the others; listing the kinds loads none at all."""
    program = f"""
import sys
from runner.engines.registry import engine_kinds
from runner.spec import Model
loaded = lambda: [name for name in {SDKS!r} if name in sys.modules]
described = engine_kinds()[{kind!r}]
settings = described.settings.model_validate({{"kind": {kind!r}}})
print(loaded())
described.create(settings, Model(name="m"))
print(loaded())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    own = [kind] if kind in SDKS else []
    assert done.stdout == f"[]\n{own!r}\n"
