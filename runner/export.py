"""What is made of a point's records for whoever reads: results.jsonl and metrics.json."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import BinaryIO, TypeAlias

import msgspec

from runner.errors import RenderError
from runner.jobs import PointSpec
from runner.points import PointRecords
from runner.records import ERROR, OK, STEP
from runner.results import CountedLine
from runner.runs import naming, write_file
from runner.scoring.base import Score
from runner.scoring.metrics import FAILED, Failed, Metrics
from runner.spec import Experiment
from runner.values import VALUE_TASKS, Json

_MOST_FAULTS = 20
"""More of a class of error count as its first."""

_FINAL = frozenset({OK, ERROR})

_LONGEST_END = 80
"""Characters of an answer that a scorer found nothing in."""

_decode = msgspec.json.Decoder(CountedLine)


class Failure(msgspec.Struct, frozen=True):
    """Rows without an answer, by what went wrong; ``id``, ``message``, ``status`` are of the first."""

    kind: str
    count: int
    id: str
    message: str
    status: int | None = None

    @property
    def fault(self) -> tuple[str, str]:
        """What failures that count as one share: of a template's, the message less what a row gave."""
        template = self.kind == RenderError.__name__
        return self.kind, self.message.partition(" (")[0] if template else ""


class Unmatched(msgspec.Struct, frozen=True):
    """Answers in which a scorer found nothing to compare.

    Attributes:
        count: how many.
        id: row of the first of them.
        text: the end of that one.
    """

    count: int
    id: str
    text: str


def export(folder: Path, spec: PointSpec, records: PointRecords, fault: str = "") -> None:
    """Write results.jsonl in dataset order and metrics.json, in one pass over the results."""
    experiment = spec.experiment()
    samples = experiment.samples
    metrics = {
        name: Metrics(scorer.report, samples, scorer.failed_rows or experiment.failed_rows)
        for name, scorer in experiment.scorers.items()
    }
    failures: dict[tuple[str, str], Failure] = {}
    unmatched: dict[str, Unmatched] = {}
    finish: Counter[str] = Counter()
    temporary = folder / ".results.jsonl.tmp"
    with naming(folder / "results.jsonl"), temporary.open("wb") as out:
        for row, group in _by_row(_written(records, out), samples):
            for _, line in group.values():
                if line.error is not None:
                    note_failures(failures, [line])
                if line.finish:
                    finish.update(line.finish.values())
            for name, metric in metrics.items():
                metric.add(row, [_score(group.get(sample), name) for sample in range(samples)])
                _note_unmatched(unmatched, name, experiment.scorers[name].of, group.values())
    temporary.replace(folder / "results.jsonl")
    counts = records.counts()
    summary: dict[str, Json] = {
        "point": spec.name,
        "axes": spec.axes,
        "step": STEP,
        "expected": spec.expected,
        "ok": counts.get(OK, 0),
        "errors": counts.get(ERROR, 0),
        "missing": spec.expected - counts.get(OK, 0) - counts.get(ERROR, 0),
        "served": records.mark("served"),
        "fault": fault,
        "failures": list(failures.values()),
        "rows": spec.dataset.rows,
        "scores": {name: metric.result() for name, metric in metrics.items()},
        "unmatched": unmatched,
        "finish": dict(finish.most_common()),
        "times": records.times() if _in_pieces(experiment) else {},
    }
    write_file(folder / "metrics.json", msgspec.json.format(msgspec.json.encode(summary), indent=1))


_Stated: TypeAlias = tuple[str, CountedLine]
"""A result with its state."""


def _by_row(written: Iterator[_Stated], samples: int) -> Iterator[tuple[str, dict[int, _Stated]]]:
    """Yield each row's id with its results by sample; those of a row stand together."""
    if samples == 1:
        for stated in written:
            yield stated[1].id, {stated[1].sample: stated}
        return
    for row, group in groupby(written, key=lambda stated: stated[1].id):
        yield row, {stated[1].sample: stated for stated in group}


def _in_pieces(experiment: Experiment) -> bool:
    return bool(getattr(experiment.engine, "stream", False)) and experiment.task not in VALUE_TASKS


def note_failures(failures: dict[tuple[str, str], Failure], lines: Iterable[CountedLine]) -> None:
    """Count results without an answer by their `Failure.fault`; beyond twenty of a class as its first."""
    for line in lines:
        if (error := line.error) is not None:
            new = Failure(error.kind, 0, line.id, error.message, error.status)
            fault = new.fault
            if fault not in failures and len(failures) >= _MOST_FAULTS:
                fault = next((known for known in failures if known[0] == error.kind), fault)
            known = failures.get(fault, new)
            failures[fault] = msgspec.structs.replace(known, count=known.count + 1)


def added_up(failures: Iterable[Failure]) -> tuple[Failure, ...]:
    """Return each failure of several points once, with the first row that it met."""
    first: dict[tuple[str, str], Failure] = {}
    for failure in failures:
        known = first.get(failure.fault)
        total = failure.count + (known.count if known else 0)
        first[failure.fault] = msgspec.structs.replace(known or failure, count=total)
    return tuple(first.values())


def _note_unmatched(
    unmatched: dict[str, Unmatched], scorer: str, slot: str | None, stated: Iterable[_Stated]
) -> None:
    for _, line in stated:
        score = line.scores.get(scorer)
        if score is None or score.answer is not None or score.value:
            continue
        known = unmatched.get(scorer)
        if known is None:
            last = next(reversed(line.slots), "")
            text = line.slots.get(slot or last, "")
            end = text if len(text) <= _LONGEST_END else f"...{text[-_LONGEST_END:]}"
            known = Unmatched(0, line.id, end)
        unmatched[scorer] = msgspec.structs.replace(known, count=known.count + 1)


def _written(records: PointRecords, out: BinaryIO) -> Iterator[_Stated]:
    """Write each line; yield its state and what it holds."""
    for state, line in records.lines():
        try:
            decoded = _decode.decode(line)
        except msgspec.DecodeError as error:
            raise records.damaged(f"a result: {error}") from None
        out.write(b"%b\n" % line)
        yield state, decoded


def _score(stated: _Stated | None, scorer: str) -> Score | Failed | None:
    """Return what a scorer made of a result; None where a resume may bring an answer."""
    if stated is None or stated[0] not in _FINAL:
        return None
    score = stated[1].scores.get(scorer)
    return FAILED if score is None else Score(score.value, score.answer)
