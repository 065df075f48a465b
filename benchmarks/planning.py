"""CPU time of planning a sweep, beside Hydra's own launcher: python benchmarks/planning.py [points].

Both run in children of this process; CPU time is what the system charged to each, start-up taken off
by running each with few and with many points.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

HYDRA_FEW, HYDRA_MANY = 4, 28
BOUND = 1 / 30

OURS = """
import sys
from runner.config import compose
print(len(compose(sys.argv[1]).points))
"""
THEIRS = """
import hydra
@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(config): pass
main()
"""
IMPORTS = "import hydra, pydantic"


def main() -> int:
    """Print the table; exit 1 if planning costs more than the bound."""
    points = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_project(root)
        hydra = hydra_cost(root)
        print(f"hydra's own launcher   {hydra * 1000:8.2f} ms a point")
        worst = 0.0
        for name in ("values", "groups", "plain"):
            few, many = (cpu([sys.executable, "-c", OURS, sweep(root, name, n)]) for n in (1, points))
            cost = (many - few) / (points - 1)
            worst = max(worst, cost / hydra)
            print(f"compose, {name:<14}{cost * 1000:8.3f} ms a point   1/{hydra / cost:.0f} of hydra's")
    imports = min(cpu([sys.executable, "-c", IMPORTS]) for _ in range(3))
    with tempfile.TemporaryDirectory() as folder:
        write_project(Path(folder))
        file = sweep(Path(folder), "values", 1)
        one = min(cpu([sys.executable, "-c", OURS, file]) for _ in range(3))
    print(f"import hydra, pydantic {imports * 1000:8.0f} ms")
    print(f"compose of one point   {one * 1000:8.0f} ms   {one / imports:.2f} x the imports")
    return 0 if worst <= BOUND else 1


def cpu(command: list[str], cwd: Path | None = None) -> float:
    """Return the CPU seconds of a child, user and system."""
    before = os.times()
    subprocess.run(command, check=True, cwd=cwd, stdout=subprocess.DEVNULL)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def hydra_cost(root: Path) -> float:
    """Return the CPU seconds a point of Hydra's launcher, on jobs that do nothing."""
    few, many = (
        cpu([sys.executable, "app.py", "-m", f"sampling.temperature=range({n})"], root)
        for n in (HYDRA_FEW, HYDRA_MANY)
    )
    return (many - few) / (HYDRA_MANY - HYDRA_FEW)


def write_project(root: Path) -> None:
    """Write a project that both programs can compose."""
    files = {
        "app.py": THEIRS,
        "conf/config.yaml": "defaults: [model: small, sampling: greedy, dataset: sums]\n",
        "conf/model/small.yaml": "name: org/small\nengine: {kind: fake}\n",
        "conf/model/large.yaml": "name: org/large\nengine: {kind: fake}\n",
        "conf/sampling/greedy.yaml": "temperature: 0\nmax_tokens: 8\n",
        "conf/sampling/creative.yaml": "temperature: 1\ntop_p: 0.9\n",
        "conf/dataset/sums.yaml": "path: data/sums.jsonl\n",
        "data/sums.jsonl": '{"question": "1+1"}\n',
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")


def sweep(root: Path, name: str, points: int) -> str:
    """Write an experiment of so many points, and return its path."""
    side = round(points ** (1 / 3))
    if side**3 != points:
        sys.exit("the number of points must be a cube, such as 1000")
    numbers = list(range(1, side + 1))
    shares = [number / (side + 1) for number in numbers]
    axes = f"{{sampling.temperature: {numbers}, sampling.top_p: {shares}, sampling.max_tokens: {numbers}}}"
    if name == "groups":
        models = ["small", "large"] * (side // 2) or ["small"]
        axes = f"{{model: {models}, sampling.top_p: {shares}, sampling.max_tokens: {numbers}}}"
    head = "model: small\nsampling: greedy\ndataset: sums\n"
    if name == "plain":
        head = "defaults: [/model: small, /sampling: greedy, /dataset: sums, _self_]\n"
    file = root / f"{name}-{points}.yaml"
    file.write_text(f"{head}prompt: '{{{{ row.question }}}}'\nsweep: {axes}\n", encoding="utf-8")
    return str(file)


if __name__ == "__main__":
    sys.exit(main())
