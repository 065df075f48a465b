"""A plan becomes a run folder: everything a job needs, frozen, so that later edits change nothing."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from types import MappingProxyType

import msgspec

from runner.cache import ResponseCache
from runner.data import RowGuard
from runner.engines.remote import RemoteSettings
from runner.errors import UserError
from runner.fitting_rows import check_datasets
from runner.hashes import CHANGING, content_hash, counted_files
from runner.identity import MODEL_FILES, Hash, make_scope, model_file
from runner.jobs import DatasetFile, Job, PointSpec, write_job
from runner.plan import Plan, PlannedPoint
from runner.plan_warnings import point_warnings
from runner.provenance import provenance
from runner.resolved import Refusal
from runner.runs import CACHE_FILE, RESOLVED_FILE, RunFolder, naming, write_file
from runner.scoring.registry import scorer_code
from runner.secrets import Secrets

COPY_LIMIT = 64 * 1024 * 1024
"""Datasets, tokenizers and chat templates up to this size (bytes) are copied into the run; larger ones are
hashed again at the start."""


def specify(plan: Plan) -> tuple[Job, ...]:
    """Return the jobs of a plan, with every dataset read once and every model identified.

    Raises:
        UserError: as from `check_datasets`.
    """
    hashed = cache(content_hash)
    secret_env = secret_names(plan)
    files = check_datasets(plan.points, RowGuard(secrets_of(plan)))
    jobs = []
    for job in plan.jobs:
        points = tuple(
            specify_point(planned, files[planned.experiment.dataset], hashed) for planned in job.points
        )
        jobs.append(Job(job.name, job.devices, points, secret_env))
    return tuple(jobs)


def specify_point(planned: PlannedPoint, dataset: DatasetFile, hashed: Hash = content_hash) -> PointSpec:
    """Return a point as it runs on the rows of *dataset*."""
    experiment = planned.experiment
    strict = experiment.cache == "strict"
    return PointSpec(
        index=planned.point.index,
        name=planned.name,
        axes=planned.point.axes,
        declared=experiment.model_dump(mode="json", exclude_none=True),
        sampling=planned.sampling,
        prompt=planned.prompt,
        scope=make_scope(experiment.model, experiment.engine, planned.kind, strict=strict, hashed=hashed),
        dataset=dataset,
        notes=(*planned.notes, *(f"warning: {one}" for one in point_warnings(planned, dataset.rows))),
        scorer_code={
            scorer.kind: code
            for scorer in experiment.scorers.values()
            if (code := scorer_code(scorer.kind)) is not None
        },
    )


def refuse_secrets(plan: Plan) -> None:
    """Refuse a plan that a secret's value stands in, be it that of a variable which the plan doesn't name.

    Raises:
        ConfigError: in the file, on the command line, or in what they come to.
    """
    secrets = secrets_of(plan)
    composition = plan.composition
    secrets.refuse(composition.file.read_text(errors="replace"), str(composition.file))
    secrets.refuse("\n".join(composition.overrides), "command line")
    points = [
        (planned.name, planned.experiment.model_dump(mode="json"), planned.prompt, planned.notes)
        for planned in plan.points
    ]
    secrets.refuse(msgspec.json.encode((plan.name, points, _refusals(plan))).decode(), "resolved config")


def secrets_of(plan: Plan) -> Secrets:
    """Return the values that must stand neither in a plan nor in its rows."""
    return Secrets.not_to_be_typed(secret_names(plan))


def secret_names(plan: Plan) -> tuple[str, ...]:
    """Return the environment variables of a plan whose values must never be written."""
    names: set[str] = set()
    # Of points that were refused the faults are written.
    for point in plan.composition.points:
        if isinstance(engine := point.experiment.engine, RemoteSettings):
            names.update(engine.secret_names())
    for refused in plan.composition.refused:
        names |= set(refused.secret_env)
    return tuple(sorted({*names, *Secrets.of((), plan.composition.env_read).values}))


def write_run(
    plan: Plan,
    jobs: Sequence[Job],
    command: Sequence[str],
    held: ExitStack | None = None,
    files: Mapping[str, bytes] = MappingProxyType({}),
) -> RunFolder:
    """Write the run folder of a plan.

    Args:
        plan: what was asked.
        jobs: what `specify` made of it.
        command: the command line.
        held: is given the right to launch the run's jobs before any other command can see it.
        files: what else lies in it, by name.

    Raises:
        ConfigError: a secret's value would be written; nothing is, then.
        UserError: the cache can't be read, the folder can't be made, or a file changes as it is copied; the
            same holds.
    """
    refuse_secrets(plan)
    Secrets.of(jobs[0].secret_env).refuse(_resolved(plan, jobs).decode(), "resolved config")
    runs = plan.composition.places.runs
    experiments = [planned.experiment for planned in plan.points]
    if any(experiment.reads_cache or experiment.fills_cache for experiment in experiments):
        ResponseCache(runs / CACHE_FILE).close()
    run = RunFolder.create(runs, plan.name)
    try:
        with run.refusable():
            _fill(run, plan, jobs, command, held, files)
    except OSError as error:
        raise run.not_made(error) from error
    except BaseException:
        run.remove()
        raise
    return run


def _fill(
    run: RunFolder,
    plan: Plan,
    jobs: Sequence[Job],
    command: Sequence[str],
    held: ExitStack | None,
    files: Mapping[str, bytes],
) -> None:
    """Write all that lies in the folder of a run."""
    composition = plan.composition
    if held is not None:
        held.enter_context(run.launching("run"))
    _copy(composition.file, run.path / "experiment.yaml")
    write_file(run.path / "overrides.txt", "".join(f"{text}\n" for text in composition.overrides))
    frozen = [_freeze(job, run) for job in jobs]
    evidence = provenance(plan, frozen, command, Secrets.of_environment(jobs[0].secret_env))
    write_file(run.path / "provenance.json", msgspec.json.format(msgspec.json.encode(evidence), indent=1))
    for job in frozen:
        folder = run.job(job.name)
        folder.mkdir()
        write_file(folder / "job.json", write_job(job))
    for name, data in files.items():
        write_file(run.path / name, data)
    # Last, since a folder counts as a run once this file is there.
    write_file(run.path / RESOLVED_FILE, _resolved(plan, frozen))


def _copy(file: Path, copy: Path) -> None:
    with naming(copy):
        shutil.copyfile(file, copy)


def _resolved(plan: Plan, jobs: Sequence[Job]) -> bytes:
    points = sorted((point for job in jobs for point in job.points), key=lambda point: point.index)
    resolved = {"name": plan.name, "points": points, "refused": _refusals(plan)}
    return msgspec.json.format(msgspec.json.encode(resolved), indent=1)


def _refusals(plan: Plan) -> list[Refusal]:
    return [Refusal(one.index, one.axes, tuple(map(str, one.faults))) for one in plan.refused]


def _freeze(job: Job, run: RunFolder) -> Job:
    points = []
    for point in job.points:
        run.point(point.name).mkdir()
        dataset = point.dataset
        if dataset.size <= COPY_LIMIT:
            copy = f"inputs/{dataset.sha256[:12]}-{Path(dataset.path).name}"
            if not (run.path / copy).exists():
                _copy(Path(dataset.path), run.path / copy)
                _check_copy(Path(dataset.path), run.path / copy, dataset.sha256)
            dataset = msgspec.structs.replace(dataset, path=copy)
        points.append(msgspec.structs.replace(point, dataset=dataset, copies=_copy_files(point, run)))
    return msgspec.structs.replace(job, points=tuple(points))


def _copy_files(point: PointSpec, run: RunFolder) -> dict[str, str]:
    """Copy the files that a point's model names besides its weights; return where they are now."""
    copies = {}
    model = point.experiment().model
    for field in MODEL_FILES:
        path = model_file(model, field)
        if path is None or not path.exists():
            continue
        files = [path] if path.is_file() else list(counted_files(path, weights=False))
        if sum(file.stat().st_size for file in files) > COPY_LIMIT:
            continue
        digest = str(point.scope.model[field])
        copies[field] = f"inputs/{digest[:12]}-{path.name}"
        whole = run.path / copies[field]
        if whole.exists():
            continue
        for file in files:
            copy = whole / file.relative_to(path)
            copy.parent.mkdir(parents=True, exist_ok=True)
            _copy(file, copy)
        _check_copy(path, whole, digest, weights=False)
    return copies


def _check_copy(file: Path, copy: Path, digest: str, *, weights: bool = True) -> None:
    """Make sure that what was copied is what was checked and hashed before."""
    if content_hash(copy, weights=weights) != digest:
        raise UserError(f"{file} {CHANGING}")
