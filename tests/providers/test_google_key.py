"""Which of Google's two variables holds the key."""

from __future__ import annotations

import pytest

from runner.engines.google import Google


@pytest.mark.parametrize(
    ("named", "present", "key"),
    [
        ({}, {"GEMINI_API_KEY": "first"}, "first"),
        ({}, {"GOOGLE_API_KEY": "second"}, "second"),
        ({}, {"GEMINI_API_KEY": "", "GOOGLE_API_KEY": "second"}, "second"),
        ({}, {"GEMINI_API_KEY": "first", "GOOGLE_API_KEY": "second"}, "first"),
        ({"api_key_env": "MINE"}, {"MINE": "third", "GOOGLE_API_KEY": "second"}, "third"),
    ],
)
def test_key_comes_from_the_first_that_is_set(
    monkeypatch: pytest.MonkeyPatch, named: dict[str, str], present: dict[str, str], key: str
) -> None:
    """It is what is sent, and what is kept secret."""
    for name in ("GEMINI_API_KEY", "GOOGLE_API_KEY", "MINE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in present.items():
        monkeypatch.setenv(name, value)
    settings = Google.model_validate({"kind": "google", **named})

    assert settings.api_key() == key
    assert [present[name] for name in settings.secret_names()] == [key]
    assert settings.variable_faults() == []


@pytest.mark.parametrize(("named", "lacking"), [({}, "GEMINI_API_KEY"), ({"api_key_env": "MINE"}, "MINE")])
def test_declared_variable_rules(
    monkeypatch: pytest.MonkeyPatch, named: dict[str, str], lacking: str
) -> None:
    """Another's value is no key for it, and without any the default is named."""
    monkeypatch.delenv(lacking, raising=False)
    if named:
        monkeypatch.setenv("GOOGLE_API_KEY", "second")
    else:
        monkeypatch.delenv("GOOGLE_API_KEY", raising=False)

    (fault,) = Google.model_validate({"kind": "google", **named}).variable_faults()

    assert lacking in fault.problem
