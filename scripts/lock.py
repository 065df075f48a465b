"""Write requirements/: version and hashes of every package that the project is run and tested with.

    python -m scripts.lock [--upgrade]

A version that a lock names stays while pyproject.toml admits it; --upgrade moves all to their newest.
The locks hold for every platform and supported Python, and name neither an index nor this machine.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ENGINES = Path("requirements", "engines")
_OPTIONS = (
    "--quiet",
    "--universal",
    "--python-version=3.11",
    "--generate-hashes",
    "--no-emit-index-url",
    "--no-emit-find-links",
    "--custom-compile-command=make lock",
)


@dataclass(frozen=True)
class Lock:
    """A file to write.

    Attributes:
        sources: what it is made of, with the options that belong to them.
        within: a lock that was written before: a package that both name has the version that it has there.
    """

    file: Path
    sources: tuple[str, ...]
    within: Path | None = None


def _engine(name: str, *sources: str, within: str | None = None) -> Lock:
    base = None if within is None else ENGINES / f"{within}.txt"
    # torch is left out: which build of it is right, for which GPU or none, a lock for all machines can't say.
    without = f"--override={ENGINES / 'without-torch.txt'}"
    return Lock(ENGINES / f"{name}.txt", (without, *sources), base)


def _alone(name: str) -> Lock:
    return Lock(ENGINES / f"{name}.txt", ("--no-deps", f"requirements/engines/{name}.in"))


DEV = Path("requirements", "dev.txt")
PYTEST = "requirements/engines/pytest.in"
LOCKS = (
    Lock(Path("requirements", "build.txt"), ("--group=build",)),
    Lock(DEV, ("pyproject.toml", "--extra=embedded", "--extra=dev")),
    Lock(Path("requirements", "run.txt"), ("pyproject.toml", "--extra=embedded"), DEV),
    Lock(ENGINES / "datasets.txt", ("requirements/engines/datasets.in",), DEV),
    Lock(ENGINES / "notebook.txt", ("requirements/engines/notebook.in",), DEV),
    _engine("transformers", "pyproject.toml", "--extra=peft", "requirements/engines/transformers.in", PYTEST),
    *(_alone(name) for name in ("transformers-5.19", "transformers-5.23", "sglang-alone")),
    _engine("vllm", f"--override={ENGINES / 'without-triton.txt'}", "requirements/engines/vllm.in"),
    _engine("vllm-offline", "pyproject.toml", PYTEST, within="vllm"),
    _engine("sglang", "requirements/engines/sglang.in"),
    _engine("sglang-offline", "pyproject.toml", PYTEST, within="sglang"),
)


def main() -> int:
    """Write all of them and return the exit code."""
    uv = shutil.which("uv", path=str(Path(sys.executable).parent))
    if uv is None:
        sys.exit("uv is not installed beside this Python: make lock installs it")
    for lock in LOCKS:
        within = () if lock.within is None else (f"--constraints={lock.within}",)
        command = [
            uv,
            "pip",
            "compile",
            *_OPTIONS,
            *within,
            *sys.argv[1:],
            *lock.sources,
            "-o",
            str(lock.file),
        ]
        if code := subprocess.run(command, cwd=ROOT, check=False).returncode:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
