"""A key in the place of its variable's name is refused, and shown nowhere."""

# ruff: noqa: E501 - a table: one case a line

from __future__ import annotations

import pytest

from tests.config.config_kit import BASE, Project

KEY = "sk-abc123"
SERVER = "engine={kind: openai_compatible, base_url: 'http://localhost:1/v1'}"
SAID = "expected the NAME of an environment variable\n    what is given is not shown: it may be a key"

CASES = {
    "key": (f"engine.api_key_env={KEY}", f"engine.api_key_env (command line): {SAID}"),
    "number": ("engine.api_key_env=123456789", f"engine.api_key_env (command line): {SAID}"),
    "header": (f"engine.headers_env={{X-Key: {KEY}}}", f"engine.headers_env.X-Key (command line): {SAID}"),
    "all headers": (f"engine.headers_env={KEY}", "engine.headers_env (command line): expected a map"),
    "not readable": (f"engine.api_key_env={KEY}:{{x", "engine.api_key_env (command line): can't be read"),
    "sweep": (f"engine.api_key_env={KEY},b", "engine.api_key_env (command line): what was given is a sweep"),
    "twice": (f"engine.api_key_env={KEY}|engine.api_key_env.x=1", "engine.api_key_env is '***', which has no keys"),
    "whole engine": (f"engine={{kind: openai_compatible, api_key_env: {KEY}}}", f"api_key_env (command line): {SAID}"),
    "deletion": (f"engine.api_key_env=NAME|~engine.api_key_env={KEY}", "not deleted: it is NAME, not '***'"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_key_instead_of_its_variables_name_is_not_shown(project: Project, case: str) -> None:
    """Wherever the message comes from."""
    overrides, message = CASES[case]

    refused = project.refused(*dict.fromkeys((SERVER, *overrides.split("|"))))

    assert message in refused
    assert KEY not in refused
    assert "123456789" not in refused


def test_key_on_an_axis_is_not_shown(project: Project) -> None:
    """A fault names its point by the values of the axes."""
    refused = project.refused(SERVER, f"engine.api_key_env={KEY},NAME", multirun=True)

    assert "engine.api_key_env [engine.api_key_env='***'] (command line)" in refused
    assert KEY not in refused


def test_password_in_an_address_is_not_shown(project: Project) -> None:
    """It is refused, and masked in the refusal."""
    refused = project.refused("engine={kind: openai_compatible, base_url: 'http://me:hush@host/v1'}")

    assert "http://***@host/v1 given: a key in the address would be written down" in refused
    assert "hush" not in refused


def test_header_that_can_not_be_one_is_named(project: Project) -> None:
    """Header names have no blanks."""
    file = project.file(
        BASE + "engine:\n  kind: openai_compatible\n  base_url: http://x/v1\n  headers_env: {X Y: NAME}\n"
    )

    assert "engine.headers_env.X Y (experiments/case.yaml:9): X Y can't be a name here" in project.refused(
        file=file
    )
