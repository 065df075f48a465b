"""Where jobs run."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Field

from runner.spec.base import Spec, said


class _Cluster(Spec):
    max_jobs: int | None = Field(None, ge=1)
    """Over how many jobs the points that share an engine start may spread."""


class LocalCluster(_Cluster):
    """Processes on this machine, started through submitit; GPUs are shared out by locks."""

    kind: Literal["local"] = "local"
    """Jobs as processes on this machine."""
    devices: tuple[int, ...] | None = None
    """GPUs that jobs may use, as nvidia-smi numbers them; left out means what CUDA_VISIBLE_DEVICES allows."""


class InlineCluster(_Cluster):
    """In this process, one job after another: for debugging and small machines."""

    kind: Literal["inline"] = "inline"
    """Jobs in this process."""


def _minutes(value: Any) -> Any:
    """Read a bare number as sbatch does."""
    whole = isinstance(value, float) and value.is_integer()
    return str(int(value)) if whole or (isinstance(value, int) and not isinstance(value, bool)) else value


_TIME = r"^(\d+|\d+:\d\d|\d+:\d\d:\d\d|\d+-\d+(:\d\d){0,2})$"
_TIME_SAID = said("a Slurm time such as 30, 1:30:00 or 2-12:00:00")
_Spelled: TypeAlias = Annotated[str, Field(pattern=_TIME, json_schema_extra=_TIME_SAID)]
_Minutes: TypeAlias = Annotated[int, Field(ge=0, json_schema_extra=_TIME_SAID)]
_Time: TypeAlias = Annotated[
    _Spelled,
    BeforeValidator(_minutes, json_schema_input_type=_Spelled | _Minutes),
]


class SlurmCluster(_Cluster):
    """Slurm, through submitit; one array task is one job."""

    kind: Literal["slurm"] = "slurm"
    """Jobs on a Slurm cluster."""
    partition: str | None = None
    """sbatch --partition."""
    account: str | None = None
    """sbatch --account."""
    qos: str | None = None
    """sbatch --qos."""
    time: _Time | None = None
    """sbatch --time: minutes, minutes:seconds, hours:minutes:seconds or days-hours."""
    gres: str | None = None
    """sbatch --gres, such as gpu:h100:2; GPUs that it doesn't ask for are as many as the topology needs."""
    gpus: int | None = Field(None, ge=0)
    """GPUs for each job, where gres asks for none; left out means as many as the topology needs."""
    cpus: int | None = Field(None, ge=1)
    """sbatch --cpus-per-task."""
    memory: str | None = None
    """sbatch --mem, such as 64G."""
    setup: tuple[str, ...] = ()
    """Shell lines to run before the worker starts, such as "module load cuda"."""
    sbatch: dict[str, str | int | bool] = Field(default_factory=dict)
    """Any further sbatch flag, by its long name, verbatim; true is a bare flag."""
    array_parallelism: int | None = Field(None, ge=1)
    """Most array tasks to run at once."""
    env: dict[str, str] = Field(default_factory=dict)
    """Environment variables for the jobs; never a secret."""


_GRES_GPU = re.compile(r"(?:gres[:/])?gpu(?::[^,:(]*?[^\d,:(][^,:(]*)?(?::(\d+))?(?:\(.*?\))?")


_SHARES = re.compile(r"(?:gres[:/])?(?:gpu|mps|shard)\b")


def _gres(gres: str | None) -> list[str]:
    """Return what a `gres` lists; which sockets or devices stand in parentheses."""
    return [part.strip() for part in re.split(r",(?![^(]*\))", gres or "")]


def gres_names_gpus(gres: str | None) -> bool:
    """Tell whether a `gres` asks for GPUs, whole or shared, so that nothing is added to it."""
    return any(map(_SHARES.match, _gres(gres)))


def gres_gpus(gres: str | None) -> int:
    """Return how many GPUs a `gres` asks for: gpu, gpu:2, gpu:h100:2, each maybe one of several in a list."""
    found = [_GRES_GPU.fullmatch(part) for part in _gres(gres)]
    return sum(int(one[1] or 1) for one in found if one is not None)


Cluster: TypeAlias = Annotated[LocalCluster | InlineCluster | SlurmCluster, Field(discriminator="kind")]

CLUSTER_KINDS = ("local", "inline", "slurm")
"""Every kind there is."""


def gpus_of(cluster: Cluster, devices: int) -> int:
    """Return how many GPUs a job that uses so many *devices* gets; Slurm may be told otherwise."""
    if not isinstance(cluster, SlurmCluster):
        return devices
    if cluster.gpus is not None:
        return cluster.gpus
    return gres_gpus(cluster.gres) if gres_names_gpus(cluster.gres) else devices
