"""Show what is installed, which GPUs, which keys are set, whether Slurm answers, which folders are used.

Never the value of a key.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

import platformdirs
from rich.console import Console

from runner import __version__
from runner.commands.arguments import add_runs, runs_folder
from runner.commands.cache import size
from runner.commands.console import console, print_table, shown, table
from runner.engines.registry import engine_kinds
from runner.launch.slurm_commands import SlurmSilentError, run_slurm
from runner.provenance import gpus
from runner.runs import CACHE_FILE, all_runs
from runner.values import count

_PACKAGES = ("hydra-core", "omegaconf", "pydantic", "jinja2", "msgspec", "submitit", "pycurl", "tokenizers")
_KEY_ENDING = "_API_KEY"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_runs(parser)


def main(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    out = console()
    _print_versions(out)
    _print_engines(out)
    _print_list(out, "GPUs", gpus() or ["none: nvidia-smi lists none, does not answer, or is not on PATH"])
    _print_keys(out)
    _print_list(out, "Slurm", _slurm())
    _print_list(out, "folders", _folders(runs_folder(arguments)))
    return 0


def _folders(runs: Path) -> list[str]:
    cache = runs / CACHE_FILE
    holds = f"holds {count(len(all_runs(runs)), 'run')}" if runs.is_dir() else "not there yet"
    stored = size(cache.stat().st_size) if cache.exists() else "not there yet"
    user = platformdirs.user_config_path("runner", appauthor=False)
    there = "there" if user.is_dir() else "not there"
    hashes = platformdirs.user_cache_path("runner", appauthor=False)
    return [
        f"runs      {shown(runs)} ({holds})",
        f"cache     {shown(cache)} ({stored})",
        f"your own  {user} ({there}): options as in conf/, for every project",
        f"hashes    {hashes}: hashes of model files, safe to delete",
    ]


def _print_list(out: Console, title: str, lines: Iterable[str]) -> None:
    out.print(f"\n{title}", style="bold")
    for line in lines:
        out.print(f"  {line}")


def _print_versions(out: Console) -> None:
    out.print(f"runner {__version__}, Python {platform.python_version()} ({sys.executable})", style="bold")
    found = ((name, version(name)) for name in _PACKAGES)
    out.print("  " + ", ".join(f"{name} {number}" for name, number in found if number is not None))


def version(distribution: str) -> str | None:
    """Return the version of an installed distribution, None where it isn't installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _print_engines(out: Console) -> None:
    out.print("\nengines", style="bold")
    made = table(["  kind", "needs", "", "what it is"])
    for kind in engine_kinds().values():
        missing = kind.missing()
        there = (kind.distribution and version(kind.distribution)) or ""
        state = there if missing is None else f"not installed: {missing}"
        style = "" if missing is None else "yellow"
        made.add_row(f"  {kind.name}", kind.distribution or "nothing", state, kind.summary, style=style)
    print_table(out, made)


def _print_keys(out: Console) -> None:
    known = _keys()
    others = sorted(name for name in os.environ if name.endswith(_KEY_ENDING) and name not in known)
    there = [name for name in (*known, *others) if os.environ.get(name)]
    absent = [name for name in known if name not in there]
    lines = [f"set      {', '.join(there) or 'none'}"]
    _print_list(out, "keys", [*lines, *([f"not set  {', '.join(absent)}"] if absent else [])])


def _keys() -> list[str]:
    """Return the variables that engines look for a key in, if nothing else is said, and the hub's."""
    fields = (kind.settings.model_fields.get("api_key_env") for kind in engine_kinds().values())
    names = (field.default for field in fields if field is not None)
    return [*dict.fromkeys(name for name in names if isinstance(name, str)), "HF_TOKEN"]


def _slurm() -> list[str]:
    """Say whether this is a machine from which Slurm takes jobs."""
    try:
        lines = [run_slurm(["sbatch", "--version"]).strip()]
    except SlurmSilentError as error:
        return [f"not from here: {_last_word(error)}"]
    try:
        partitions = run_slurm(["sinfo", "--noheader", "--format=%P %a %D nodes, %G"]).splitlines()
    except SlurmSilentError as error:
        return [*lines, f"sinfo does not answer: {_last_word(error)}"]
    return [*lines, *(f"partition {line.strip()}" for line in partitions)]


def _last_word(error: SlurmSilentError) -> str:
    """Return the last of the complaints that one of Slurm's commands joined."""
    return re.split(r"\w+: (?:error|fatal): ", str(error))[-1]
