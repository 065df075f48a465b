"""Environments of engines that can't live beside the runner: built once, kept outside the checkout."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_TESTING = ("pytest>=8.4", "pytest-timeout>=2.3")
_SCRIPT = Path(__file__).with_name("engines.sh")


def engine_python(kind: str) -> Path | None:
    """Return the interpreter of a kind's own environment, built when missing; None for those without one."""
    if kind not in {"vllm", "sglang"}:
        return None
    folder = _cache() / kind
    subprocess.run(["bash", str(_SCRIPT), kind, str(folder)], check=True)
    return folder / "bin" / "python"


def offline_python(kind: str) -> Path:
    """Return an interpreter that can import a kind's engine and what the runner needs, built when missing.

    Its environment lies over the engine's own, which stays as it is: what is there counts as installed.
    """
    engine = engine_python(kind)
    assert engine is not None, f"{kind} has no environment"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return _laid_over(engine, engine.parents[1].with_name(f"{kind}-offline"), project["dependencies"])


def datasets_python() -> Path:
    """Return an interpreter with Hugging Face datasets beside all that this one has, built when missing."""
    return _laid_over(Path(sys.executable), _cache() / "datasets", ["datasets==5.2.0"])


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "llm-runner"


def _laid_over(base: Path, folder: Path, packages: Sequence[str]) -> Path:
    """Return the interpreter of an environment with *packages* over that of *base*, built when missing."""
    wanted = [*packages, *_TESTING]
    python, built = folder / "bin" / "python", folder / "built.txt"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not built.is_file() or built.read_text() != "\n".join(wanted):
            subprocess.run([base, "-m", "venv", "--without-pip", folder], check=True)
            (_site(python) / "engine.pth").write_text(f"{_site(base)}\n")
            subprocess.run([python, "-m", "pip", "install", "--quiet", *wanted], check=True)
            built.write_text("\n".join(wanted))
    return python


def _site(python: Path) -> Path:
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    told = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True)
    return Path(told.stdout.strip())
