"""Run the same rows greedily on several engines and show how far their answers agree, token by token.

It is a run like any other, with one point an engine: cached answers are not asked again, `logs` and
`resume` work on it, and `status` shows the agreement again. Engines that take it are asked for log
probabilities; answers without them are compared by their text. Exit code 0 means that every pair agrees
on every row; where --skip-refused leaves no two engines, nothing is run.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from runner.commands.agreement import agreement_of, print_partings
from runner.commands.arguments import add_experiment, plan_from, print_config, unknown
from runner.commands.console import console, given
from runner.commands.launchable import less_without_server
from runner.commands.run import run_plan
from runner.config import OwnOverride, override_text, sweep_values
from runner.errors import ConfigError, MissingLogprobsError, UserError
from runner.outcome import RunOutcome, run_outcome
from runner.parity import PARITY_FILE, planned
from runner.plan import Plan, PlannedPoint
from runner.refusals import together
from runner.values import Json, canonical_json

_ENGINES = "--engines"
_ASKED: dict[str, Json] = {"sampling.logprobs": True, "sampling.top_logprobs": 5}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_experiment(parser)
    parser.add_argument(
        "--engines",
        required=True,
        metavar="A,B,...",
        help="two or more: kinds of engine, options of conf/engine/, or maps such as "
        "'{kind: vllm, base_url: URL}'",
    )
    parser.add_argument(
        "--no-logprobs",
        metavar="A,...",
        help="those of --engines that aren't asked for log probabilities, a map by its kind",
    )
    parser.add_argument("--verbose", action="store_true", help="show every answer that differs")


def main(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    if print_config(arguments):
        return 0
    engines = sweep_values("engine", arguments.engines)
    if len(engines) < 2 or len(set(map(canonical_json, engines))) < len(engines):  # noqa: PLR2004 - a pair
        raise UserError(f"--engines takes two or more engines, each once; given: {arguments.engines}")
    spared = _spared(arguments.no_logprobs, engines)
    arguments.multirun = True
    typed = [*arguments.overrides, *_own({"sampling.temperature": 0})]
    arguments.overrides = [*typed, OwnOverride(f"engine={arguments.engines}", _ENGINES)]
    plan = plan_from(arguments)
    telling = [one for one in engines if _typed(one) not in spared and _tells(plan, one)]
    if telling:
        arguments.overrides = [*typed, *_asking(arguments.engines, engines, telling)]
        plan = plan_from(arguments)
    plan = less_without_server(plan, skip_refused=arguments.skip_refused)
    _require_two(plan)
    files = {PARITY_FILE: planned(_names(plan.points))}
    run, code = run_plan(plan, wait=True, verbose=arguments.verbose, files=files)
    outcome = run_outcome(run)
    if (found := agreement_of(outcome)) is not None:
        if arguments.verbose:
            print_partings(found)
        _advise(plan, outcome)
        code = code or int(any(pair.same < pair.total or pair.one_sided for pair in found.pairs))
    return code


def _require_two(plan: Plan) -> None:
    """Refuse a plan in which refusals have left one engine alone.

    Raises:
        UserError: why the others are refused.
    """
    left = {
        canonical_json(engine): engine for point in plan.points for engine in [point.point.axes["engine"]]
    }
    if len(left) > 1:
        return
    (engine,) = left.values()
    why = ConfigError(together(plan.refused, len(plan.points) + len(plan.refused)))
    raise UserError(f"parity compares two or more engines, and only {given(engine)} is left:\n{why}")


def _typed(engine: Json) -> str:
    """Return what one types for an engine of `--engines` elsewhere."""
    return str(engine.get("kind") if isinstance(engine, dict) else engine)


def _spared(text: str | None, engines: Iterable[Json]) -> set[str]:
    """Return the engines that are not to be asked for log probabilities.

    Raises:
        UserError: one isn't among those that are compared.
    """
    known = list(dict.fromkeys(map(_typed, engines)))
    named = [name.strip() for name in (text or "").split(",") if name.strip()]
    for name in named:
        if name not in known:
            raise UserError(f"--no-logprobs: {unknown('such engine in --engines', name, known)}")
    return set(named)


def _tells(plan: Plan, engine: Json) -> bool:
    """Tell whether an engine takes what asks for log probabilities, at all of its points."""
    points = [point for point in plan.points if point.point.axes["engine"] == engine]
    return all(_takes(point) for point in points)


def _takes(point: PlannedPoint) -> bool:
    experiment = point.experiment
    taken = point.kind.honours(experiment.engine).takes(experiment.task).keys() - {*experiment.model.omit}
    return {"logprobs", "top_logprobs"} <= taken


def _asking(text: str, engines: Sequence[Json], telling: Sequence[Json]) -> list[OwnOverride]:
    """Return the overrides that ask all engines, and those that are *telling* for log probabilities."""
    if len(telling) == len(engines):
        return [OwnOverride(f"engine={text}", _ENGINES), *_own(_ASKED)]
    linked = [{"engine": one, **(_ASKED if one in telling else {})} for one in engines]
    return [OwnOverride(f"sweep.engines={override_text(linked)}", _ENGINES)]


def _own(values: Mapping[str, Json]) -> list[OwnOverride]:
    return [OwnOverride(f"{name}={override_text(value)}", "runner parity") for name, value in values.items()]


def _names(points: Sequence[PlannedPoint]) -> dict[str, str]:
    """Return what sets each point apart, its engine in short where that will do."""
    axes = [{k: value for k, value in point.point.axes.items() if k not in _ASKED} for point in points]
    engines = [one["engine"] for one in axes]
    short = [_name({**one, "engine": _short(one["engine"], engines)}) for one in axes]
    counts = Counter(short)
    called = [name if counts[name] == 1 else _name(one) for name, one in zip(short, axes, strict=True)]
    return dict(zip((point.name for point in points), called, strict=True))


def _name(axes: Mapping[str, Json]) -> str:
    return ", ".join(map(given, axes.values()))


def _short(engine: Json, engines: Iterable[Json]) -> str:
    """Return an engine as it is typed; of a map the kind, with what sets it apart from others of its kind."""
    if not isinstance(engine, dict):
        return given(engine)
    alike = [_settings(one) for one in engines if one != engine and _typed(one) == _typed(engine)]
    apart = []
    for key, value in _settings(engine).items():
        left = [other for other in alike if key in other and other[key] == value]
        if len(left) < len(alike):
            apart.append(f"{key}={given(value)}")
        alike = left
    return _typed(engine) + (f" ({', '.join(apart)})" if apart else "")


def _settings(engine: Json) -> dict[str, Json]:
    """Return the settings of an engine by their dotted keys; one that is no map is its kind."""
    if not isinstance(engine, dict):
        return {"kind": engine}
    found: dict[str, Json] = {}
    for key, value in engine.items():
        if value and isinstance(value, dict):
            found |= {f"{key}.{inner}": below for inner, below in _settings(value).items()}
        else:
            found[key] = value
    return found


def _advise(plan: Plan, outcome: RunOutcome) -> None:
    """Say how engines are compared whose answers lack the log probabilities that they were asked for."""
    lacking = {
        point.name
        for point in outcome.points
        for failure in point.failures
        if failure.kind == MissingLogprobsError.__name__
    }
    engines = [_typed(point.point.axes["engine"]) for point in plan.points if point.name in lacking]
    if engines:
        typed = ",".join(dict.fromkeys(engines))
        console().print(f"answers without log probabilities are compared by text: --no-logprobs {typed}")
