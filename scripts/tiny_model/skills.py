"""What the tiny model can do, and which questions it never sees in training."""

import json
from dataclasses import dataclass
from pathlib import Path
from random import Random

LETTERS = "abcdefghijklmnopqrstuvwxyz"
NUMBERS = 100
FAIR = {str(face): 1 / 6 for face in range(1, 7)}
WEIGHTED = {"1": 1 / 2, "2": 1 / 4, "3": 1 / 8, "4": 1 / 16, "5": 1 / 32, "6": 1 / 32}
SPLIT_SEED = 20250101
HELD_OUT_PAIRS = 1000
HELD_OUT_STRINGS = 200

Pair = tuple[int, int]
Row = dict[str, str | int]


@dataclass(frozen=True, slots=True)
class Turn:
    """One question and its right answer."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Split:
    """The questions kept out of training; an addition and its mirror image are kept out together."""

    addition: tuple[Pair, ...]
    subtraction: tuple[Pair, ...]
    strings: tuple[str, ...]


def held_out() -> Split:
    """Return the held-out questions: always the same 1,000 sums, 1,000 differences and 200 strings."""
    rng = Random(SPLIT_SEED)
    unordered = [(a, b) for a in range(NUMBERS) for b in range(a, NUMBERS)]
    rng.shuffle(unordered)
    sums: list[Pair] = []
    for a, b in unordered:
        mirrored = [(a, b)] if a == b else [(a, b), (b, a)]
        if len(sums) + len(mirrored) <= HELD_OUT_PAIRS:
            sums.extend(mirrored)
    rng.shuffle(sums)
    differences = rng.sample([(a, b) for a in range(NUMBERS) for b in range(NUMBERS)], HELD_OUT_PAIRS)
    strings: dict[str, None] = {}
    while len(strings) < HELD_OUT_STRINGS:
        strings["".join(rng.choices(LETTERS, k=rng.randint(2, 8)))] = None
    return Split(tuple(sums), tuple(differences), tuple(strings))


def write_data(folder: Path) -> None:
    """Write the held-out sets into *folder* as JSON lines."""
    split = held_out()
    additions = [_arithmetic_row("add", index, pair, "+") for index, pair in enumerate(split.addition)]
    subtractions = [
        _arithmetic_row("sub", index, pair, "-") for index, pair in enumerate(split.subtraction[:200])
    ]
    reversals: list[Row] = [
        {"id": f"rev-{index:04}", "string": text, "question": f"reverse {text}", "answer": text[::-1]}
        for index, text in enumerate(split.strings)
    ]
    two_turns: list[Row] = [
        {
            "id": f"two-{index:04}",
            "question_1": additions[2 * index]["question"],
            "question_2": additions[2 * index + 1]["question"],
            "answer": additions[2 * index + 1]["answer"],
        }
        for index in range(50)
    ]
    _write_rows(folder / "addition.jsonl", additions[:200])
    _write_rows(folder / "addition_heldout.jsonl", additions)
    _write_rows(folder / "subtraction.jsonl", subtractions)
    _write_rows(folder / "reversal.jsonl", reversals)
    _write_rows(folder / "two_turns.jsonl", two_turns)


def read_rows(path: Path) -> list[Row]:
    """Return the rows of a JSON-lines file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _arithmetic_row(prefix: str, index: int, pair: Pair, operator: str) -> Row:
    a, b = pair
    answer = a + b if operator == "+" else a - b
    return {
        "id": f"{prefix}-{index:04}",
        "a": a,
        "b": b,
        "question": f"{a}{operator}{b}",
        "answer": str(answer),
    }


def _write_rows(path: Path, rows: list[Row]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
