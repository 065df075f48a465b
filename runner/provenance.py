"""Where results come from: command, code, versions, machine, and hashes of what went in."""

from __future__ import annotations

import hashlib
import platform
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from runner import __version__
from runner.engines.auto import chosen_among
from runner.jobs import Job, PointSpec
from runner.plan import Plan
from runner.plugins import USER_CODE
from runner.secrets import Secrets
from runner.values import Json, canonical_json

_PACKAGES = ("hydra-core", "omegaconf", "pydantic", "jinja2", "msgspec", "submitit", "pycurl")
_COMMAND_SECONDS = 20


def provenance(plan: Plan, jobs: Sequence[Job], command: Sequence[str], secrets: Secrets) -> dict[str, Json]:
    """Return the contents of provenance.json; secret values in the command or the diff are masked."""
    points = [point for job in jobs for point in job.points]
    return {
        "command": [secrets.mask(part) for part in command],
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "host": socket.gethostname(),
        "platform": platform.platform(),
        "python": sys.version.split()[0],
        "runner": __version__,
        "packages": _versions(plan),
        "user_code": _user_code(points),
        "git": _git(plan.composition.places.root, secrets),
        "gpus": gpus(),
        "sources": [str(path) for path in plan.composition.sources],
        "engines": {job.name: _engine(job) for job in jobs},
        "models": list({canonical_json(point.scope.model): point.scope.model for point in points}.values()),
        "datasets": {point.dataset.path: point.dataset.sha256 for point in points},
        "prompts": {point.name: hashlib.sha256(canonical_json(point.prompt)).hexdigest() for point in points},
    }


def _engine(job: Job) -> dict[str, Json]:
    """Return a job's kind of engine, and where auto chose it, why."""
    point = job.points[0]
    engine: dict[str, Json] = {"kind": point.declared["engine"]["kind"]}
    note = chosen_among(point.notes)
    return engine if note is None else {**engine, "why": note}


def _user_code(points: Sequence[PointSpec]) -> dict[str, Json]:
    """Return what names the code that users' packages add, by kind of engine or scorer."""
    code: dict[str, Json] = {}
    for point in points:
        if (engine := point.scope.engine.get(USER_CODE)) is not None:
            code[f"engine {point.scope.engine['kind']}"] = engine
        code |= {f"scorer {name}": scorer for name, scorer in point.scorer_code.items()}
    return code


def _versions(plan: Plan) -> dict[str, str]:
    engines = {planned.kind.distribution for planned in plan.points} - {""}
    found = {}
    for name in (*_PACKAGES, *sorted(engines)):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _git(root: Path, secrets: Secrets) -> dict[str, Json] | None:
    sha = _output(["git", "-C", str(root), "rev-parse", "HEAD"])
    if sha is None:
        return None
    diff = _output(["git", "-C", str(root), "diff", "HEAD"])
    if diff is None:
        return {"sha": sha.strip(), "dirty": None, "diff": None}
    return {"sha": sha.strip(), "dirty": bool(diff), "diff": secrets.mask(diff)}


def gpus() -> list[str] | None:
    """Return name, driver and memory of every GPU that nvidia-smi lists, None if it doesn't answer."""
    query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    listed = _output(query)
    return None if listed is None else listed.splitlines()


def _output(command: list[str]) -> str | None:
    """Return what a program prints, or None where it isn't there, fails, or takes too long."""
    if shutil.which(command[0]) is None:
        return None
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_COMMAND_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return None
    return done.stdout if done.returncode == 0 else None
