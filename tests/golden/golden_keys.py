"""The request keys of the experiments beside this file.

``python -m tests.golden.golden_keys`` writes request_keys.json anew. Do so only for a change that is meant to
change keys, and list the experiments that changed in the changelog: their users pay again.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from runner.commands.render import open_point, placeholder
from runner.config import compose
from runner.plan import make_plan
from runner.questions import OpenPoint
from runner.values import Request

HERE = Path(__file__).parent
KEYS = HERE / "request_keys.json"
EXPERIMENTS = {path.stem: path for path in sorted((HERE / "experiments").glob("*.yaml"))}


def keys_of(file: Path) -> list[str]:
    """Return a key for every row, sample and slot; placeholders stand for answers of earlier slots."""
    plan = make_plan(compose(file, ()))
    return [key for planned in plan.points for key in _keys(open_point(planned))]


def _keys(point: OpenPoint) -> list[str]:
    keys = []
    for row in point.rows():
        for question in point.questions(row, range(point.experiment.samples)):
            question.prepare()
            keys.append(question.key.hex())
            for slot in range(1, len(point.slots)):
                answers = [placeholder(name) for name in point.slots[:slot]]
                content = point.input(row, answers)
                sampling = point.drawings[slot].sampling(row, answers, question.sample)
                request = Request(point.task, content, sampling, point.scopes[slot], question.sample)
                keys.append(hashlib.sha256(request.canonical()).hexdigest())
    return keys


if __name__ == "__main__":
    golden = {name: keys_of(file) for name, file in EXPERIMENTS.items()}
    KEYS.write_text(json.dumps(golden, indent=1) + "\n", encoding="utf-8")
