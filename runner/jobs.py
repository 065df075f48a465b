"""What is written into job.json: one engine start with everything it will serve, as plain JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from pydantic import ValidationError

from runner.engines.registry import engine_kinds
from runner.errors import UserError
from runner.plugins import USER_CODE
from runner.prompts import PromptSource
from runner.runs import lost, read_file
from runner.schema import fitting_type
from runner.scoring.registry import scorer_kinds
from runner.spec import Experiment
from runner.values import Json, Scope


class DatasetFile(msgspec.Struct, frozen=True):
    """The rows that a point reads.

    Attributes:
        path: relative to the run folder where the file was copied, else absolute.
        sha256: of the file's bytes.
        size: bytes.
        rows: rows that the point reads, after offset, limit and shard.
    """

    path: str
    sha256: str
    size: int
    rows: int


class PointSpec(msgspec.Struct, frozen=True):
    """One point as it runs.

    Attributes:
        index: place in the experiment, from 0.
        name: folder under points/.
        axes: what sets it apart from the other points.
        declared: the validated experiment, as JSON.
        sampling: effective sampling values, those nobody declared included.
        prompt: template sources, inline.
        scope: identity of model and engine in every request key.
        copies: the model's files that were copied into the run: the model's field -> path relative to
            the run folder.
        notes: what was replaced, resolved or left out, in words.
        scorer_code: what names the code of each kind of scorer that a user's package adds.
    """

    index: int
    name: str
    axes: dict[str, Json]
    declared: dict[str, Any]
    sampling: dict[str, Json]
    prompt: PromptSource
    scope: Scope
    dataset: DatasetFile
    notes: tuple[str, ...] = ()
    copies: dict[str, str] = {}
    scorer_code: dict[str, Json] = {}

    def experiment(self, run: Path | None = None) -> Experiment:
        """Return the validated experiment; in a *run*, its model's files are those copied there.

        Raises:
            UserError: what the run holds is none, or a package of the user's that it needs is not installed.
        """
        self._require_packages()
        try:
            experiment = fitting_type(self.declared).model_validate(self.declared)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            told = f"is damaged, or of another version of the runner ({place}: {first['msg']})"
            raise UserError(f"the experiment of point {self.name} {told}: start a new run") from None
        if run is None or not self.copies:
            return experiment
        files = {field: str(run.absolute() / copy) for field, copy in self.copies.items()}
        return experiment.model_copy(update={"model": experiment.model.model_copy(update=files)})

    def _require_packages(self) -> None:
        engine = str(self.declared["engine"]["kind"])
        needed: dict[str, Json] = {}
        if engine not in engine_kinds():
            needed[f"engine {engine}"] = self.scope.engine.get(USER_CODE)
        needed |= {
            f"scorer {name}": self.scorer_code[name] for name in {*self.scorer_code} - {*scorer_kinds()}
        }
        for what, code in needed.items():
            if isinstance(code, dict):
                package = f"{code['distribution']} {code['version']}"
                raise UserError(f"{what} is not installed: install the package that has it, {package}")

    @property
    def expected(self) -> int:
        """Result lines of a complete point."""
        return self.dataset.rows * int(self.declared.get("samples", 1))


class Job(msgspec.Struct, frozen=True):
    """One engine start.

    Attributes:
        name: folder under jobs/.
        devices: GPUs it takes.
        points: all share model, engine, topology and cluster.
        secret_env: names of environment variables whose values must not be written.
    """

    name: str
    devices: int
    points: tuple[PointSpec, ...]
    secret_env: tuple[str, ...] = ()


def write_job(job: Job) -> bytes:
    """Encode a job for job.json."""
    return msgspec.json.format(msgspec.json.encode(job), indent=1)


def read_job(folder: Path) -> Job:
    """Read the job of a job folder.

    Raises:
        UserError: what the file holds is no job, or it is gone.
    """
    try:
        return read_file(folder / "job.json", Job)
    except FileNotFoundError:
        raise lost(folder / "job.json") from None
