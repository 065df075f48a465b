"""Every measurement of docs/performance.md, one after another: python benchmarks/table.py."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAMS = (
    "commands.py",
    "planning.py",
    "http_client.py",
    "pipeline.py",
    "whole.py",
    "sdk.py",
    "rerun.py",
    "memory.py",
)


def main() -> int:
    """Run all programs; exit 1 if one is above its bound."""
    worst = 0
    for program in PROGRAMS:
        print(f"\n{program}", flush=True)
        worst = max(
            worst, subprocess.run([sys.executable, Path(__file__).with_name(program)], check=False).returncode
        )
    return worst


if __name__ == "__main__":
    sys.exit(main())
