"""Show the messages of some rows as they would be sent, and the sampling; nothing is sent.

Where a later turn depends on an answer, the answer's name stands in its place; sampling that depends on
one stays a template. The exit code is 2 if not one of the rows can be rendered.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import cast

import msgspec
from rich.console import Console
from rich.text import Text

from runner.commands.arguments import add_point, point_from
from runner.commands.console import cell, console, print_json
from runner.commands.planned import NO_SAMPLING
from runner.data import RowGuard
from runner.errors import RenderError, UserError
from runner.fitting_rows import check_datasets
from runner.jobs import DatasetFile
from runner.plan import PlannedPoint
from runner.prepare import secrets_of, specify_point
from runner.questions import OpenPoint, Question
from runner.terminal import escape
from runner.values import VALUE_TASKS, Input, Json, Message, Request, Row, by_content


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_point(parser)
    parser.add_argument("--rows", type=int, default=3, metavar="N", help="how many rows (default: 3)")
    parser.add_argument("--offset", type=int, default=0, metavar="N", help="rows to pass over")
    parser.add_argument(
        "--json", action="store_true", help="print each request and its key as a line of JSON"
    )


def main(arguments: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    if arguments.rows < 1 or arguments.offset < 0:
        raise UserError("--rows takes a number from 1, --offset one from 0")
    plan, planned = point_from(arguments)
    point = open_point(planned)
    start = min(arguments.offset, sys.maxsize)
    try:
        rows = list(islice(point.rows(), start, min(start + arguments.rows, sys.maxsize)))
    except UserError:
        check_datasets([planned])  # says all that is wrong with the rows
        raise
    if not rows:
        check_datasets([planned])  # says why none is left, where none is
        raise UserError(f"the dataset has no row number {arguments.offset} (rows count from 0)")
    guard, file = RowGuard(secrets_of(plan)), Path(planned.experiment.dataset.path)
    if guard and any(guard.fault(file, 0, row.data, row.data) for row in rows):
        check_datasets([planned], guard)  # says of all such rows where they are
    if arguments.json:
        rendered = [_print_lines(point, row) for row in rows]
        return 0 if any(rendered) else 2
    out = console()
    index, many = planned.point.index, len(plan.points)
    which = f"  point {index} of {many}: {planned.name} (--point shows another)" if many > 1 else ""
    out.print(Text.assemble((plan.name, "bold"), which))
    rendered = [_print_row(out, point, row) for row in rows]
    _print_sampling(out, point)
    return 0 if any(rendered) else 2


def open_point(planned: PlannedPoint) -> OpenPoint:
    """Compile a point without reading any of its rows."""
    path = planned.experiment.dataset.path
    return OpenPoint(specify_point(planned, DatasetFile(path, "", 0, 0)), Path())


def placeholder(slot: str) -> str:
    """Return what stands for an answer that nobody has given yet."""
    return f"<generate: {slot}>"


def _print_row(out: Console, point: OpenPoint, row: Row) -> bool:
    """Print one row; False if it can't be rendered."""
    out.print()
    out.print(Text.assemble(("row ", "dim"), (escape(row.id), "bold")))
    answers = [placeholder(slot) for slot in point.slots[:-1]]
    try:
        content = point.input(row, answers)
        drawn = [drawing.foreseen(row, 0) for drawing in point.drawings]
        if point.continues:
            point.require_fitting(content, drawn[-1])
    except RenderError as error:
        out.print(f"  can't be rendered: {error}", style="red")
        return False
    for message in _shown(content):
        _print_message(out, message)
    if point.task not in VALUE_TASKS:
        out.print(Text.assemble(("  assistant: ", "dim"), (placeholder(point.slots[-1]), "cyan")))
    for slot, (drawing, sampling) in enumerate(zip(point.drawings, drawn, strict=True)):
        if drawing.filled:
            own = {name: sampling[name] for name in drawing.filled if name in sampling}
            label = f"  {_sampling_of(point, slot)}: "
            out.print(Text.assemble((label, "dim"), _values(own) or "nothing of the row's own"))
    return True


def _shown(content: Input) -> Sequence[Message]:
    """Return what is sent as messages: those of a chat, the texts of a task by name, or a raw prompt."""
    if isinstance(content, dict):
        return [{"role": name, "content": text} for name, text in content.items()]
    if isinstance(content, tuple) and content and isinstance(content[0], dict):
        return cast("Sequence[Message]", by_content(content))
    return [{"role": "prompt", "content": content}]


def _print_message(out: Console, message: Message) -> None:
    """Print one message: text as it is, anything else as JSON."""
    content = message.get("content")
    text = cell(content if content is not None else message)
    role = escape(message["role"])
    indent = "\n" + " " * (len(role) + 4)
    style = "cyan" if text.startswith("<generate: ") else ""
    out.print(Text.assemble((f"  {role}: ", "dim"), (escape(text).replace("\n", indent), style)))


def _print_sampling(out: Console, point: OpenPoint) -> None:
    if point.task in VALUE_TASKS and not point.spec.sampling:
        return
    out.print()
    for slot in range(len(point.slots)):
        values = _values(point.effective(slot)) or NO_SAMPLING
        out.print(Text.assemble((_sampling_of(point, slot), "bold"), f"  {values}"))
    if (samples := point.experiment.samples) > 1:
        seed = ", each with its own seed" if "seed" in point.spec.sampling else ""
        out.print(f"{samples} samples for each row{seed}")


def _sampling_of(point: OpenPoint, slot: int) -> str:
    return "sampling" if len(point.slots) == 1 else f"sampling of {point.slots[slot]}"


def _values(sampling: Mapping[str, Json]) -> str:
    return " ".join(f"{name}={cell(value)}" for name, value in sampling.items())


def _print_lines(point: OpenPoint, row: Row) -> bool:
    """Print every request of a row as JSON; False if there is none."""
    rendered = False
    for line in _lines(point, row):
        print_json(msgspec.json.encode(line).decode())
        rendered = rendered or "error" not in line
    return rendered


def _lines(point: OpenPoint, row: Row) -> Iterator[dict[str, Json]]:
    """Yield every request of a row; what depends on answers has placeholders in it, and no key."""
    for question in point.questions(row, range(point.experiment.samples)):
        head = {"id": row.id, "sample": question.sample}
        try:
            yield from ({**head, **line} for line in _requests(question))
        except RenderError as error:
            yield {**head, "error": str(error)}


def _requests(question: Question) -> Iterator[dict[str, Json]]:
    question.prepare()
    point = question.point
    yield {
        "slot": point.slots[0],
        "key": question.key.hex(),
        "request": msgspec.Raw(question.canonical),
    }
    for number, slot in enumerate(point.slots[1:], start=1):
        answers = [placeholder(name) for name in point.slots[:number]]
        content = point.input(question.row, answers)
        sampling = point.drawings[number].foreseen(question.row, question.sample)
        if point.continues:
            point.require_fitting(content, sampling)
        request = Request(point.task, content, sampling, point.scopes[number], question.sample)
        yield {"slot": slot, "key": None, "request": msgspec.Raw(request.canonical())}
