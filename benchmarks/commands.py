"""CPU time of commands beside bare Python: python benchmarks/commands.py."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from pathlib import Path

REPEATS = 7
RUNNER = "import sys; from runner.cli import main; sys.exit(main(sys.argv[1:]))"
CASES = (
    ("runner --help", ["--help"], "pass", 8.0),
    ("runner plan --no-count", ["plan", "addition", "--no-count"], "import hydra, pydantic", 3.0),
)


def cpu(code: str, arguments: list[str], cwd: Path) -> float:
    """Return the CPU seconds of a Python process, user and system."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)  # os.times() counts in hundredths of a second
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, cwd=cwd, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> int:
    """Print each command's ratio, best of several runs in turn; exit 1 above a bound."""
    over = False
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for title, arguments, bare, bound in CASES:
            pairs = [(cpu(RUNNER, arguments, folder), cpu(bare, [], folder)) for _ in range(REPEATS)]
            ours, theirs = (min(side) for side in zip(*pairs, strict=True))
            over = over or ours / theirs > bound
            beside = f"{ours / theirs:.1f} x python -c {bare!r} (at most {bound:.0f} x)"
            print(f"{title:<24}{ours * 1000:6.0f} ms   {beside}")
    return int(over)


if __name__ == "__main__":
    sys.exit(main())
