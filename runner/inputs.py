"""What a run was launched with: rows and the model's files, copied or not, and where they come from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from runner.engines.registry import engine_kinds
from runner.errors import UserError
from runner.hashes import content_hash
from runner.identity import require_same
from runner.jobs import DatasetFile, PointSpec
from runner.plugins import USER_CODE
from runner.runs import PUT_BACK, RunFolder, lost
from runner.scoring.registry import scorer_code

PROVENANCE_FILE = "provenance.json"


def check_dataset(run: Path, dataset: DatasetFile) -> None:
    """Make sure that a point's rows are those that it was planned with.

    Raises:
        InputChangedError: a file that was too large for a copy is another, or gone.
        UserError: the run's copy is damaged, or gone.
    """
    file = run / dataset.path
    if Path(dataset.path).is_absolute():
        require_same(f"dataset {file}", content_hash(file) if file.exists() else None, dataset.sha256)
    else:
        _check_copy(file, dataset.sha256, weights=True)


def check_inputs(run: Path, spec: PointSpec) -> None:
    """Make sure that a point's rows, and the files that were copied into its run, are as they were.

    Raises:
        InputChangedError: the rows were too large for a copy, and their file is another, or gone.
        UserError: names a copy that is damaged, or gone.
    """
    check_dataset(run, spec.dataset)
    for field, name in spec.copies.items():
        _check_copy(run / name, str(spec.scope.model[field]), weights=False)


def check_code(spec: PointSpec) -> None:
    """Make sure that what a user's packages add to a point is what it was planned with.

    Raises:
        InputChangedError: the code of its engine, or of a scorer, is another.
    """
    kind = str(spec.declared["engine"]["kind"])
    require_same(f"the code of engine {kind}", engine_kinds().code(kind), spec.scope.engine.get(USER_CODE))
    for name, launched in spec.scorer_code.items():
        require_same(f"the code of scorer {name}", scorer_code(name), launched)


def damage(run: RunFolder, points: Iterable[PointSpec]) -> list[str]:
    """Tell of files that were frozen at launch and are plainly gone or damaged; no copy is read."""
    copies = dict.fromkeys(copy for point in points for copy in _doubtful_copies(run.path, point))
    origins = [run.path / name for name in ("experiment.yaml", "overrides.txt")]
    lost_origins = [path for path in origins if not path.is_file()]
    if not _is_provenance(run.path / PROVENANCE_FILE):
        lost_origins.append(run.path / PROVENANCE_FILE)
    return [
        *(f"{copy} is gone or damaged: resume and rescore need it" for copy in copies),
        *(f"{path} is gone or damaged: it tells where the results come from" for path in lost_origins),
    ]


def _doubtful_copies(run: Path, spec: PointSpec) -> Iterator[Path]:
    file = run / spec.dataset.path
    if not Path(spec.dataset.path).is_absolute() and _size(file) != spec.dataset.size:
        yield file
    yield from (run / name for name in spec.copies.values() if not (run / name).exists())


def _is_provenance(file: Path) -> bool:
    try:
        return bool(msgspec.json.decode(file.read_bytes(), type=dict[str, msgspec.Raw]))
    except (OSError, msgspec.DecodeError):
        return False


def _size(file: Path) -> int | None:
    return file.stat().st_size if file.is_file() else None


def _check_copy(copy: Path, digest: str, *, weights: bool) -> None:
    if not copy.exists():
        raise lost(copy)
    readable = copy.is_file() or copy.is_dir()  # neither a pipe nor a device, which never end
    if not readable or content_hash(copy, weights=weights) != digest:
        raise UserError(
            f"{copy} is damaged (it is not what was copied when the run was launched): {PUT_BACK}"
        )
