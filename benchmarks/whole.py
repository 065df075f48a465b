"""CPU time of a whole command beside a plain aiohttp loop: python benchmarks/whole.py [--rows N].

`runner run` with `cluster: inline`, from its start to its results: composing, checking and estimating,
asking, folding into the point's files and into the shared cache. Nothing is taken off on either side. The
aiohttp loop is that of `pipeline.py`: it sends the same messages and parses the answers, nothing else.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from http_client import serving
from pipeline import THEIRS, cpu, write_experiment
from rerun import COMMAND


def main() -> int:
    """Print the CPU seconds of both and their ratio; exit 1 above the bound."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=40_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--bound", type=float, default=0.75)
    arguments = parser.parse_args()
    ratios = []
    with serving() as address:
        url = address.removesuffix("/chat/completions")
        for _ in range(arguments.repeats):
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                # An earlier run has filled the shared cache: every row is looked up before the launch too.
                earlier = write_experiment(folder, url, 10, arguments.concurrency)
                cpu([sys.executable, "-c", COMMAND, "run", earlier.name], folder)
                file = write_experiment(folder, url, arguments.rows, arguments.concurrency)
                rows = f"{arguments.rows}.jsonl"
                ours = cpu([sys.executable, "-c", COMMAND, "run", file.name], folder)
                theirs = cpu([sys.executable, "-c", THEIRS, url, rows, str(arguments.concurrency)], folder)
            ratios.append(ours / theirs)
            print(f"runner run {ours:.2f}  aiohttp {theirs:.2f} CPU-s  {ours / theirs:.2f}")
    median = statistics.median(ratios)
    print(f"{arguments.rows:,} rows: median ratio {median:.2f}")
    return 0 if median <= arguments.bound else 1


if __name__ == "__main__":
    sys.exit(main())
