"""CPU time of the whole pipeline beside a plain aiohttp loop: python benchmarks/pipeline.py [--rows N].

The pipeline reads rows, renders a sandboxed template, hashes, looks the cache up, sends, scores and
commits. The aiohttp loop sends the same messages and parses the answers, nothing else. Each runs as a
process of its own against one zero-latency server on another core; start-up is taken off by running few
and many rows.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from http_client import serving

WORD = "lorem ipsum dolor sit amet consetetur sadipscing elitr sed diam nonumy eirmod tempor "

OURS = """
import sys
from runner.work import run_job
sys.exit(run_job(sys.argv[1], redirect=False))
"""
THEIRS = """
import asyncio, json, sys
import aiohttp
async def main(url, path, count):
    questions = iter([json.loads(line)["question"] for line in open(path)])
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=count)) as session:
        async def worker():
            for question in questions:
                payload = {"model": "m", "messages": [{"role": "user", "content": question}],
                           "temperature": 0.0, "top_p": 1.0, "max_tokens": 16}
                async with session.post(url + "/chat/completions", json=payload) as answer:
                    (await answer.json())["choices"][0]["message"]["content"]
        await asyncio.gather(*(worker() for _ in range(count)))
asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""


def cpu(command: list[str], cwd: Path) -> float:
    """Return the CPU seconds of a child on its own core, user and system."""
    # An installed package has its bytecode; a child that may not write it would compile it at each start.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    before = os.times()
    subprocess.run(
        command, check=True, cwd=cwd, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def write_rows(path: Path, count: int) -> None:
    """Write rows with a question of about 220 characters."""
    with path.open("w") as out:
        for number in range(count):
            question = f"{number}: " + (WORD * 3)[:213]
            out.write(json.dumps({"id": number, "question": question, "answer": "An answer."}) + "\n")


def prepare(folder: Path, url: str, rows: int, concurrency: int) -> Path:
    """Write a run that is ready to work, and return its job's folder."""
    from runner.config import compose
    from runner.plan import make_plan
    from runner.prepare import specify, write_run

    file = write_experiment(folder, url, rows, concurrency)
    plan = make_plan(compose(file, runs=folder / "runs"))
    run = write_run(plan, specify(plan), ["bench"])
    return run.jobs[0]


def write_experiment(folder: Path, url: str, rows: int, concurrency: int) -> Path:
    """Write an experiment with its rows, and return its file."""
    write_rows(folder / f"{rows}.jsonl", rows)
    file = folder / f"bench-{rows}.yaml"
    file.write_text(f"""
model: {{name: m}}
engine: {{kind: openai_compatible, base_url: "{url}", concurrency: {concurrency}}}
prompt: "{{{{ row.question }}}}{{% if row.hint is defined %}} Hint: {{{{ row.hint }}}}{{% endif %}}"
dataset: {{path: {rows}.jsonl, target: "{{{{ row.answer }}}}"}}
sampling: {{temperature: 0, max_tokens: 16}}
scorers: {{exact: {{kind: exact_match}}}}
cluster: {{kind: inline}}
""")
    return file


def main() -> int:
    """Print CPU seconds per further 1,000 requests and their ratio; exit 1 above the bound."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--concurrency", type=int, nargs="*", default=[64, 256])
    parser.add_argument("--bound", type=float, default=0.7)
    arguments = parser.parse_args()
    few = arguments.rows // 10
    worst = 0.0
    with serving() as address:
        url = address.removesuffix("/chat/completions")
        for concurrency in arguments.concurrency:
            ratios = []
            for _ in range(arguments.repeats):
                with tempfile.TemporaryDirectory() as name:
                    folder = Path(name)
                    ours = [
                        cpu([sys.executable, "-c", OURS, str(prepare(folder, url, n, concurrency))], folder)
                        for n in (few, arguments.rows)
                    ]
                    theirs = [
                        cpu([sys.executable, "-c", THEIRS, url, f"{n}.jsonl", str(concurrency)], folder)
                        for n in (few, arguments.rows)
                    ]
                per = (arguments.rows - few) / 1000
                mine, other = (ours[1] - ours[0]) / per, (theirs[1] - theirs[0]) / per
                ratios.append(mine / other)
                figures = f"pipeline {mine:.4f}  aiohttp {other:.4f} CPU-s per 1,000"
                print(f"{concurrency:4} at once: {figures}  {mine / other:.2f}")
            median = statistics.median(ratios)
            worst = max(worst, median)
            print(f"{concurrency:4} at once: median ratio {median:.2f}")
    return 0 if worst <= arguments.bound else 1


if __name__ == "__main__":
    sys.exit(main())
