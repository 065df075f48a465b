"""Every rule on sampling, for every engine and task, as a literal, a template, a row and a call of an LLM."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from runner.engines.registry import engine_kinds
from runner.engines.request_rules import TRIGGERS
from runner.errors import ConfigError
from runner.spec import Sampling
from tests.rules.cases import WRONG, cases
from tests.rules.rules_kit import SUBJECTS, Subject, refusals

EVERY = pytest.mark.parametrize("subject", SUBJECTS, ids=str)


def rows_of(subject: Subject) -> dict[str, tuple[dict[str, Any], str | None]]:
    """Return rows by id: what each fills in, and what is wrong with it, if anything is."""
    found: dict[str, tuple[dict[str, Any], str | None]] = {}
    for number, case in enumerate(cases(subject)):
        found[f"{number} bad {case.rule}"] = dict(case.bad), case.problem
        found[f"{number} good {case.rule}"] = dict(case.good), None
    for name in subject.takes:
        for number, value in enumerate(WRONG[name]):
            found[f"{name} {number}"] = {name: value}, f"sampling.{name}"
    return found


@EVERY
def test_row_that_is_filled_wrongly_is_refused_alone(subject: Subject, tmp_path: Path) -> None:
    """All values are templates: the plan takes them, and each row that breaks a rule is refused by itself."""
    templates = {name: f"{{{{ row.{name} }}}}" for name in subject.takes}
    wanted = rows_of(subject)
    empty = {**dict.fromkeys(templates), **subject.needed()}
    rows = [{"id": name, "q": "1", **empty, **filled} for name, (filled, _) in wanted.items()]

    found = refusals(subject.planned(tmp_path, templates, [{"id": "plain", "q": "1", **empty}, *rows]))

    assert found.keys() == {name for name, (_, problem) in wanted.items() if problem is not None}
    for name, message in found.items():
        assert str(wanted[name][1]) in message, name


@EVERY
def test_literal_that_breaks_a_rule_refuses_the_experiment(subject: Subject, tmp_path: Path) -> None:
    """What is close to it, and breaks none, is planned."""
    rows = [{"q": "1"}]
    for case in cases(subject):
        with pytest.raises(ConfigError) as caught:
            subject.planned(tmp_path, case.bad, rows)
        assert case.problem in str(caught.value), case
        subject.planned(tmp_path, case.good, rows)


@EVERY
def test_literal_of_a_wrong_type_or_range_refuses_the_experiment(subject: Subject, tmp_path: Path) -> None:
    """All that are wrong are named together."""
    for number in range(max((len(WRONG[name]) for name in subject.takes), default=0)):
        bad = {name: WRONG[name][number] for name in subject.takes if number < len(WRONG[name])}
        with pytest.raises(ConfigError) as caught:
            subject.planned(tmp_path, bad, [{"q": "1"}])
        for name in bad:
            assert f"sampling.{name}" in str(caught.value)


@EVERY
def test_call_that_breaks_a_rule_is_refused(subject: Subject, tmp_path: Path) -> None:
    """By an LLM, before anything is sent or started."""
    if (declared := subject.declared(tmp_path)) is None:
        pytest.skip(f"{subject.kind.name} is not installed: an LLM of it is refused")
    bad = [(dict(case.bad), case.problem) for case in cases(subject)]
    bad += [({name: WRONG[name][0]}, name) for name in subject.takes]
    for values, problem in bad:
        given = {name: value for name, value in {**subject.needed(), **values}.items() if value is not None}
        with pytest.raises(ConfigError) as caught:
            declared.call(given)
        assert problem in str(caught.value), values
    for case in cases(subject):
        declared.call({**subject.needed(), **case.good})


@EVERY
def test_parameter_that_an_engine_does_not_take_is_refused_by_name(subject: Subject, tmp_path: Path) -> None:
    """Whether a literal or a template: no row could fill it."""
    lacking = sorted(Sampling.model_fields.keys() - subject.takes.keys())
    if not lacking:
        assert subject.kind.name.startswith("vllm"), "no other takes everything"
        return
    with pytest.raises(ConfigError) as caught:
        subject.planned(tmp_path, {name: f"{{{{ row.{name} }}}}" for name in lacking}, [{"q": "1"}])

    by_place = {fault.place: fault for fault in caught.value.faults}
    for name in lacking:
        fault = by_place[f"sampling.{name}"]
        assert fault.problem == f"engine {subject.kind.name} can't honour {name}"
        able = fault.hint.removeprefix("taken by: ").split(", ") if fault.hint.startswith("taken by") else []
        assert all(subject.task in engine_kinds()[one].capabilities.tasks for one in able)


def test_table_has_a_case_of_every_rule_and_parameter() -> None:
    """A new rule, or an engine's own check, needs a line in the table."""
    shared = {rule.func.__name__ if isinstance(rule, partial) else rule.__name__ for rule in TRIGGERS}
    own = {check.__name__ for kind in engine_kinds().values() for check in kind.request_checks}

    covered = {case.rule for subject in SUBJECTS for case in cases(subject)}
    assert covered == {*shared, *own} - {"_inlined"}
    assert WRONG.keys() == Sampling.model_fields.keys()
