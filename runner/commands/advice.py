"""What to do after a run: what a resume cures by itself, and what to fix before it can."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from runner.commands.arguments import typed
from runner.jobs import read_job
from runner.outcome import UNDER_WAY, JobOutcome, RunOutcome
from runner.runs import RunFolder
from runner.spec import Experiment

_KEYLESS = "the server requires an API key: start a new run with engine.api_key_env=VARIABLE"
_MEMORY = "it needs more memory: start a new run that asks for it"
_NEW_RUN = frozenset({_KEYLESS, _MEMORY})
"""What only a new run fixes, since a resume takes no overrides."""

_SLOW = "the server must answer within engine.timeout; to wait longer start a new run"

_FAILING = "the server must answer; for another one or other settings start a new run"
_SETTINGS = "what the message says; for other settings start a new run"
_FIXES = {
    "UnknownModelError": "the server must serve this model; for another name start a new run",
    "EngineUnreachableError": "the server must answer there; for another address start a new run",
    "EngineFailingError": _FAILING,
    "EngineStartError": _SETTINGS,
    "ServerExitedError": _SETTINGS,
    "EngineError": _SETTINGS,
    "InputChangedError": "put back what has changed, or start a new run",
    "CacheBusyError": "what the message says",
    "CacheDamagedError": "what the message says",
    "CacheUnusableError": "what the message says",
    "UserError": "what the message says",
}
"""What to do about a job that ended with an error of a class, before a resume can help."""


class Advice(msgspec.Struct, frozen=True):
    """What to fix first, if anything, and the command to type then, if any."""

    fix: tuple[str, ...] = ()
    command: str | None = None


def advice(outcome: RunOutcome) -> Advice:
    """Return what one would do after a run that ended as this one did."""
    name = typed(RunFolder(Path(outcome.path)))
    if outcome.state in UNDER_WAY:
        return Advice(command=f"runner status {name} --watch")
    if any(point.missing for point in outcome.points if not point.cancelled):
        fix = dict.fromkeys(text for job in outcome.jobs for text in _fixes(outcome, job))
        if fix.keys() <= {_FAILING} and _kinds(outcome) == {"RequestTimeoutError"}:
            fix = {_SLOW: None}
        return Advice(tuple(fix), None if fix and fix.keys() <= _NEW_RUN else f"runner resume {name}")
    if outcome.state == "errors":
        return _after_final_errors(outcome, name)
    if outcome.state == "complete":
        return Advice(command=_look(outcome, name))
    return Advice()


def _fixes(outcome: RunOutcome, job: JobOutcome) -> Iterator[str]:
    """Yield what a job needs before a resume can do better."""
    if job.state == "out_of_memory":
        yield _MEMORY
    if job.state != "failed":
        return
    kind = job.reason.partition(":")[0]
    if kind in _FIXES:
        yield _FIXES[kind]
    elif kind in {"AuthenticationError", "TooManyErrorsError"}:
        experiment = _experiment(Path(outcome.path), job.name)
        yield _key(experiment) if kind == "AuthenticationError" else _rows(experiment)


def _key(experiment: Experiment) -> str:
    if not hasattr(experiment.engine, "api_key_env"):
        return _SETTINGS
    variable = experiment.engine.api_key_env
    if variable is None:
        return _KEYLESS
    return f"set {variable} to a key that the server takes for this model"


def _rows(experiment: Experiment) -> str:
    return f"see why rows failed; a resume goes on until {experiment.max_errors} more have (max_errors)"


def _after_final_errors(outcome: RunOutcome, name: str) -> Advice:
    """Asking again helps only where it is the server that changes: templates and rows are the run's own."""
    if _kinds(outcome) == {"RenderError"}:
        return Advice(("the template or the rows, in a new run",))
    fix = "the server; or the prompt or the rows, in a new run"
    return Advice((fix,), f"runner resume {name} --retry-final")


def _kinds(outcome: RunOutcome) -> set[str]:
    """Return the classes of all that rows failed on."""
    return {failure.kind for point in outcome.points for failure in point.failures}


def _experiment(run: Path, job: str) -> Experiment:
    return read_job(RunFolder(run).job(job)).points[0].experiment()


def _look(outcome: RunOutcome, name: str) -> str:
    """Return the command that shows what a complete run came to: where some results are wrong, those."""
    scores = [
        score["value"] for point in outcome.points for one in point.scores.values() for score in one.values()
    ]
    wrong = any(value is not None and value < 1 for value in scores)
    return f"runner show {name}{' --wrong' if wrong else ''}"
