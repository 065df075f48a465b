"""What a server is really sent, a passthrough may not replace: whichever engine, whichever task."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from runner.engines.request_rules import findings
from runner.errors import AskError
from runner.spec import Model
from runner.values import VALUE_TASKS, Request, Scope
from tests.http_server import HttpServer
from tests.rules.rules_kit import SUBJECTS, Subject

INPUTS: dict[str, Any] = {
    "chat": ({"role": "user", "content": "1+1"},),
    "score": {"pair": ["a", "b"]},
    "rerank": {"query": "a", "documents": ["b"]},
    "loglikelihood": {"context": "a", "continuations": ["b"]},
}
ASKED = {"max_tokens": 3, "temperature": 0.5, "top_p": 0.5, "stop": ["x"], "seed": 1, "n": 2}
ATTACHED = [one for one in SUBJECTS if one.variant == "attached" and "passthrough" in one.takes]
ROOTED = {"anthropic", "mistral", "google", "together"}


def sent(subject: Subject, url: str) -> Request:
    """Have one request sent to an address where nothing is understood; return it."""
    values = {name: value for name, value in ASKED.items() if name in subject.takes}
    request = Request(subject.task, INPUTS.get(subject.task, "a"), values, Scope({}, {}))
    base = url if subject.kind.name in ROOTED else f"{url}/v1"
    settings = subject.kind.settings.model_validate({**subject.engine, "base_url": base})
    engine = subject.kind.create(settings, Model(name="m"))

    async def generate() -> None:
        async with engine:
            await engine.generate(request)

    with pytest.raises(AskError):
        asyncio.run(generate())
    return request


@pytest.mark.parametrize("subject", ATTACHED, ids=str)
def test_no_field_that_is_sent_may_be_passed_through(subject: Subject) -> None:
    """Each field of the body itself is tried, so that a new task or engine is covered as it is added."""
    with HttpServer({}) as server:
        request = sent(subject, server.url(""))
        bodies = [received.json() for received in server.received if received.body]

    fields = {field for body in bodies for field in body}
    assert fields
    open_ = set()
    for field in fields - {"generationConfig"}:
        sampling = {**request.sampling, "passthrough": {field: "x"}}
        if not any(found.place.endswith(field) for found in findings(sampling, subject.target)):
            open_.add(field)
    assert open_ == set()


VALUED = [one for one in ATTACHED if one.task in VALUE_TASKS]


@pytest.mark.parametrize("field", ["temperature", "max_tokens", "n", "logprobs", "stop"])
@pytest.mark.parametrize("subject", VALUED, ids=str)
def test_sampling_parameter_is_not_passed_through_to_a_task_without_sampling(
    subject: Subject, field: str
) -> None:
    """No server reads it there, and none refuses it: it would count in the key and change nothing."""
    if field not in subject.kind.capabilities.sampling:
        pytest.skip("the engine has no such parameter")
    (found,) = findings({"passthrough": {field: 1}}, subject.target)

    assert found.place == f"sampling.passthrough.{field}"
    assert found.hint == "leave it out"


@pytest.mark.parametrize("subject", [one for one in VALUED if one.task != "loglikelihood"], ids=str)
@pytest.mark.parametrize("field", ["dimensions", "truncate", "chat_template_kwargs"])
def test_fields_that_change_a_number_are_passed_through(subject: Subject, field: str) -> None:
    """They are what the passthrough is for there."""
    assert list(findings({"passthrough": {field: 1}}, subject.target)) == []


@pytest.mark.parametrize("subject", [one for one in VALUED if one.task in {"embed", "reward"}], ids=str)
def test_form_of_numbers_is_not_passed_through(subject: Subject) -> None:
    """A vector that came as base64 of another type would be unreadable, or read as other numbers."""
    (found,) = findings({"passthrough": {"encoding_format": "base64"}}, subject.target)

    assert found.problem == "the runner sets it"
