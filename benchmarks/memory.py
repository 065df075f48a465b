"""Peak memory and time a row of a large run: python benchmarks/memory.py [--rows N].

The whole command `runner run` with the fake engine, its worker included, for many rows beside 10,000.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FEW = 10_000
COMMAND = """
import resource, sys
from runner.cli import main
code = main(sys.argv[1:])
print("peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
sys.exit(code)
"""


def measure(folder: Path, rows: int) -> tuple[float, float, float]:
    """Return peak memory (MB) of the largest process, and wall and CPU microseconds a row."""
    with (folder / f"{rows}.jsonl").open("w") as out:
        for number in range(rows):
            out.write(
                json.dumps({"id": number, "q": f"{number} and a few words more", "a": str(number)}) + "\n"
            )
    (folder / f"m{rows}.yaml").write_text(f"""
model: {{name: m}}
engine: {{kind: fake, concurrency: 256}}
prompt: "{{{{ row.q }}}}"
dataset: {{path: {rows}.jsonl, target: "{{{{ row.a }}}}"}}
scorers: {{exact: {{kind: exact_match}}}}
cluster: inline
""")
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, "run", f"m{rows}.yaml"],
        check=True,
        cwd=folder,
        capture_output=True,
        text=True,
    )
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    peak = next(int(line.split()[1]) for line in done.stderr.splitlines() if line.startswith("peak"))
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return peak / 1024, wall / rows * 1e6, cpu / rows * 1e6


def main() -> int:
    """Print the table; exit 1 above the bounds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as name:
        few, many = (measure(Path(name), count) for count in (FEW, rows))
    for count, (peak, wall, cpu) in ((FEW, few), (rows, many)):
        print(f"{count:>9,} rows: peak {peak:4.0f} MB, {wall:4.0f} us a row ({cpu:.0f} us CPU)")
    return int(many[0] > 300 or many[2] > few[2])


if __name__ == "__main__":
    sys.exit(main())
