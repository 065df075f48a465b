"""What Anthropic, Mistral and Google can't honour is refused before anything is asked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from runner.engines.registry import engine_kinds
from runner.errors import ConfigError, EngineStartError
from runner.identity import make_scope
from runner.spec import Model
from runner.spec.sampling import Sampling
from tests.engines.asking_engines import chat_request
from tests.providers.native import KINDS, saying
from tests.providers.test_provider_plans import GIVEN, SDKS, planned
from tests.providers.wire import KEYS, exchange

MODULES = {"anthropic": "anthropic", "mistral": "mistralai", "google": "google.genai"}
ELSEWHERE = {
    "ANTHROPIC_BASE_URL": "http://127.0.0.1:9",
    "GOOGLE_GEMINI_BASE_URL": "http://127.0.0.1:9",
    "GOOGLE_GENAI_USE_VERTEXAI": "true",
    "GOOGLE_GENAI_USE_ENTERPRISE": "true",
    "GOOGLE_GENAI_API_VERSION": "v9",
    "GOOGLE_CLOUD_PROJECT": "another",
    "GOOGLE_CLOUD_LOCATION": "eu",
    "GOOGLE_API_KEY": "another-key",
}


def refused(kind: str) -> list[str]:
    """Return the parameters that a kind's table lacks."""
    return [name for name in GIVEN if name not in engine_kinds()[kind].capabilities.sampling]


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in KINDS for name in refused(kind)])
def test_parameter_that_is_not_in_the_table_is_refused_by_name(tmp_path: Path, kind: str, name: str) -> None:
    """The fault names engine and parameter."""
    with pytest.raises(ConfigError) as caught:
        planned(tmp_path, kind, **{name: GIVEN[name]})

    fault = caught.value.faults[0]
    assert (fault.place, fault.problem) == (f"sampling.{name}", f"engine {kind} can't honour {name}")


@pytest.mark.parametrize("name", ["temperature", "top_p"])
def test_anthropic_takes_no_temperature_unless_asked_as_it_was(tmp_path: Path, name: str) -> None:
    """Today's API refuses it; with legacy_sampling it is planned, and the temperature always shown."""
    legacy = {"kind": "anthropic", "legacy_sampling": True}
    asked: dict[str, Any] = {name: 0.5}

    with pytest.raises(ConfigError, match=f"engine anthropic can't honour {name}"):
        planned(tmp_path, "anthropic", **asked)
    (point,) = planned(tmp_path, legacy, **asked).points

    assert point.sampling == {"temperature": 1.0, "max_tokens": 8192, name: 0.5}


def test_what_nobody_declared_is_planned_as_it_is_sent(tmp_path: Path) -> None:
    """What has no default of its own, or one that differs between models, is told by the plan."""
    shown = {kind: planned(tmp_path, kind).points[0].sampling for kind in KINDS}

    assert shown == {
        "anthropic": {"max_tokens": 8192},
        "mistral": {"temperature": 1.0, "top_p": 1.0},
        "google": {"temperature": 1.0, "top_p": 1.0},
    }


@pytest.mark.parametrize(
    ("kind", "sampling", "bound"),
    [
        ({"kind": "anthropic", "legacy_sampling": True}, {"temperature": 1.5}, "up to 1"),
        ("mistral", {"temperature": 1.7}, "up to 1.5"),
        ("google", {"temperature": 2.5}, "up to 2"),
        ("google", {"n": 9}, "up to 8"),
    ],
)
def test_value_beyond_a_providers_range_is_refused(
    tmp_path: Path, kind: Any, sampling: dict[str, Any], bound: str
) -> None:
    """The fault tells the provider's own bound."""
    with pytest.raises(ConfigError, match=bound):
        planned(tmp_path, kind, **sampling)


def test_every_parameter_is_taken_or_refused() -> None:
    """No table has a name that is none of ours."""
    for kind in KINDS:
        assert engine_kinds()[kind].capabilities.sampling.keys() <= Sampling.model_fields.keys()


@pytest.mark.parametrize("kind", KINDS)
def test_raw_prompts_are_refused(tmp_path: Path, kind: str) -> None:
    """None of them has a route for these any more."""
    with pytest.raises(ConfigError, match=f"engine {kind} can't do complete"):
        planned(tmp_path, kind, task="complete")


@pytest.mark.parametrize("kind", KINDS)
def test_address_counts_only_where_it_is_not_the_providers_own(kind: str) -> None:
    """Names of keys are no part of a request's identity; a gateway's address is."""
    described = engine_kinds()[kind]

    def identity(**given: Any) -> Any:
        settings = described.settings.model_validate({"kind": kind, **given})
        return make_scope(Model(name="m"), settings, described).engine

    assert identity() == identity(api_key_env="OTHER", timeout=3)
    assert identity(base_url="http://gateway") == {**identity(), "base_url": "http://gateway"}


@pytest.mark.parametrize("kind", KINDS)
def test_environment_sends_nothing_elsewhere(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables that the SDKs read can change neither address nor key nor the API that is asked."""
    plain, before = exchange(kind, chat_request(), saying(kind, "here"))
    for name, value in ELSEWHERE.items():
        monkeypatch.setenv(name, value)

    response, after = exchange(kind, chat_request(), saying(kind, "here"))

    told = ("authorization", "x-goog-api-key", "anthropic-version")
    assert response.text == plain.text == "here"
    assert (after.path, after.body) == (before.path, before.body)
    assert [after.headers.get(name) for name in told] == [before.headers.get(name) for name in told]


@pytest.mark.parametrize("kind", KINDS)
def test_headers_of_the_users_own_are_sent(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gateways want further headers, whose values stand in the environment."""
    monkeypatch.setenv("TEAM", "blue")

    _, sent = exchange(kind, chat_request(), saying(kind, "Hello"), headers_env={"X-Team": "TEAM"})

    assert sent.headers["x-team"] == "blue"


@pytest.mark.parametrize("kind", KINDS)
def test_address_with_a_version_is_refused(kind: str) -> None:
    """The SDKs add it themselves: asking there would find nothing."""
    described = engine_kinds()[kind]

    def faults(url: str) -> list[str]:
        settings = described.settings.model_validate({"kind": kind, "base_url": url})
        return [fault.place for fault in described.check(settings, Model(name="m"))]

    assert faults("https://gateway.example.org/v1") == ["engine.base_url"]
    assert faults("https://gateway.example.org/v1beta/") == ["engine.base_url"]
    assert faults("https://gateway.example.org/google") == []


@pytest.mark.parametrize("kind", KINDS)
def test_unset_key_stops_the_engine_before_it_starts(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fault names the variable, and a key of the SDK's own choice is not taken instead."""
    monkeypatch.delenv(KEYS[kind])
    monkeypatch.setenv("GOOGLE_API_KEY", "another-key")
    described = engine_kinds()[kind]
    settings = described.settings.model_validate({"kind": kind})

    with pytest.raises(EngineStartError, match=f"{KEYS[kind]} is not set"):
        described.create(settings, Model(name="m"))


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

    assert done.stdout == f"[]\n{[MODULES[kind]]!r}\n"
