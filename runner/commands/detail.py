"""One result of a run as `runner show` prints it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import msgspec
from rich.console import Console
from rich.text import Text

from runner.commands.console import cell
from runner.commands.labelled import Printer
from runner.commands.token_logprobs import print_logprobs
from runner.details import Detail
from runner.errors import RenderError, one_line
from runner.narrow_floats import floats
from runner.records import ERROR
from runner.results import ResultLine
from runner.terminal import escape
from runner.values import Choice, Json, Response, Usage, count

_NUMBERS = 4
"""Numbers of a vector that are shown."""


def as_json(detail: Detail) -> bytes:
    """Return a result as one line of JSON: its line of results.jsonl, its requests and its responses."""
    line = {"id": detail.row, "sample": detail.sample} if detail.line is None else _builtins(detail.line)
    more = {
        "requests": detail.requests,
        "responses": {slot: _response(response) for slot, response in detail.responses.items()},
    }
    anew = {"prompt": detail.prompt, "problem": detail.problem or None}
    return msgspec.json.encode(
        {"point": detail.point, "state": detail.state} | line | more | {k: v for k, v in anew.items() if v}
    )


def _builtins(line: ResultLine) -> dict[str, Json]:
    return cast("dict[str, Json]", msgspec.json.decode(msgspec.json.encode(line)))


def _response(response: Response) -> dict[str, Json]:
    made = msgspec.json.decode(msgspec.json.encode(response))
    if response.embeddings:
        made["embeddings"] = [floats(data) for data in response.embeddings]
    return cast("dict[str, Json]", made)


def print_detail(out: Console, detail: Detail, *, with_point: bool, full: bool, logprobs: bool) -> None:
    """Print a result: the prompt, the answers, and what is known of them."""
    printer = Printer(out, full=full)
    line = detail.line
    sample = f"  sample {detail.sample}" if detail.sample else ""
    point = f"  point {detail.point}" if with_point else ""
    out.print(Text.assemble(("row ", "dim"), (escape(detail.row), "bold"), sample, point))
    if detail.problem and not _tells_it(line):
        printer.text("prompt", f"can't be rendered: {detail.problem}", "red")
    shown = set()
    for role, text, slot in _prompt(detail):
        shown.add(slot)
        printer.text(slot or role, text, "cyan" if slot else "")
    for slot, response in detail.responses.items():
        _print_response(printer, slot, response, detail, in_prompt=slot in shown)
    if line is None:
        printer.text("result", "none yet")
        return
    for slot, text in () if detail.responses else line.slots.items():
        printer.text(slot, text, "cyan")
    _print_scores(printer, line)
    _print_error(printer, detail.state, line)
    _print_facts(printer, line, detail.responses)
    if logprobs:
        print_logprobs(printer, detail.responses)


def _tells_it(line: ResultLine | None) -> bool:
    """Tell whether a result's error says already why its prompt can't be rendered."""
    return line is not None and line.error is not None and line.error.kind == RenderError.__name__


def _prompt(detail: Detail) -> Iterator[tuple[str, str, str]]:
    """Yield of each message of the longest prompt: role, text, and the slot if it is an answer."""
    # An answer stands where the request that brought it ended.
    slots = {len(request["input"]): slot for slot, request in detail.requests.items()}
    sent = [request["input"] for request in detail.requests.values()]
    given = detail.prompt if detail.prompt is not None else sent[-1] if sent else None
    if isinstance(given, dict):
        yield from ((name, cell(text), "") for name, text in given.items())
    elif isinstance(given, list) and given and isinstance(given[0], dict):
        for place, message in enumerate(given):
            yield str(message.get("role", "message")), _content(message), slots.get(place, "")
    elif given is not None:
        yield "prompt", cell(given), ""


def _content(message: dict[str, Json]) -> str:
    """Return a message as text: images as placeholders, calls of tools as such."""
    content = message.get("content")
    parts = content if isinstance(content, list) else [] if content is None else [content]
    texts = [_part(part) for part in parts]
    calls = message.get("tool_calls")
    texts += [f"[call {_call(call)}]" for call in calls] if isinstance(calls, list) else []
    return "\n".join(texts)


def _part(part: Json) -> str:
    if not isinstance(part, dict):
        return cell(part)
    if part.get("type") == "text":
        return cell(part.get("text"))
    image = part.get("image_url")
    url = image.get("url") if isinstance(image, dict) else image
    return f"[image {url}]" if isinstance(url, str) else cell(part)


def _call(call: Json) -> str:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict):
        return cell(call)
    return f"{cell(function.get('name'))}({cell(function.get('arguments'))})"


def _print_response(
    printer: Printer, slot: str, response: Response, detail: Detail, *, in_prompt: bool
) -> None:
    if not response.choices:
        value = detail.line.value if detail.line is not None else None
        printer.text(slot, _values(response) or cell(value), "cyan")
    for number, choice in enumerate(response.choices, 1):
        label = slot if len(response.choices) == 1 else f"{slot} {number} of {len(response.choices)}"
        _print_choice(printer, label, choice, text=number > 1 or not in_prompt)


def _values(response: Response) -> str:
    """Return vectors by their first numbers."""
    texts = []
    for data in response.embeddings:
        vector = floats(data)
        first = ", ".join(f"{number:.4g}" for number in vector[:_NUMBERS])
        texts.append(f"{count(len(vector), 'number')}: {first}{', ...' if len(vector) > _NUMBERS else ''}")
    return "\n".join(texts)


def _print_choice(printer: Printer, label: str, choice: Choice, *, text: bool) -> None:
    if choice.reasoning:
        printer.text(f"{label}, reasoning", choice.reasoning, "dim")
    if text:
        printer.text(label, choice.text, "cyan")
    for call in choice.tool_calls:
        printer.text(f"{label}, tool call", _call(call), "cyan")


def _print_scores(printer: Printer, line: ResultLine) -> None:
    targets = {name: score.target for name, score in line.scores.items() if score.target is not None}
    same = len({cell(list(t) if isinstance(t, tuple) else t) for t in targets.values()}) == 1
    for name, target in list(targets.items())[: 1 if same else None]:
        text = target if isinstance(target, str) else " or ".join(target)
        printer.text("target" if same else f"target of {name}", text)
    for name, score in line.scores.items():
        found = ""
        if score.answer is None:
            found = " (nothing extracted)"
        elif score.answer not in line.slots.values():
            found = f" (extracted {score.answer!r})"
        style = "green" if score.value >= 1 else "red"
        printer.text(name, f"{score.value:g}{found}", style)


def _print_error(printer: Printer, state: str, line: ResultLine) -> None:
    if (error := line.error) is None:
        return
    status = f"HTTP {error.status}: " if error.status else ""
    final = "final" if state == ERROR else "a resume requests it again"
    message = error.message if printer.full else one_line(error.message)
    printer.text("error", f"{error.kind}: {status}{message} ({final})", "red")


def _print_facts(printer: Printer, line: ResultLine, responses: dict[str, Response]) -> None:
    """Print how the answer ended and what it took."""
    reasons = [c.finish_reason for r in responses.values() for c in r.choices if c.finish_reason]
    if reasons:
        printer.text("finish", ", ".join(dict.fromkeys(reasons)))
    if line.usage is not None:
        printer.text("usage", _usage(line.usage))
    if line.latency is not None:
        seconds = line.latency
        printer.text("latency", f"{seconds:,.2f} s" if seconds >= 1 else f"{seconds * 1000:,.1f} ms")
    if isinstance(line.retries, int) and line.retries:
        printer.text("retries", f"{line.retries:,}")
    if line.sources:
        printer.text("source", _sources(line.sources))


def _usage(usage: Usage) -> str:
    named = {
        "prompt": usage.prompt_tokens,
        "completion": usage.completion_tokens,
        "cached": usage.cached_tokens or None,
        "reasoning": usage.reasoning_tokens or None,
    }
    known = [f"{number:,} {name}" for name, number in named.items() if number is not None]
    if not known:
        return "unknown number of tokens"
    further = f" ({', '.join(known[2:])})" if known[2:] else ""
    return f"{' + '.join(known[:2])} tokens{further}"


def _sources(sources: dict[str, str]) -> str:
    meant = {
        "cached": "cached: an earlier run sent the request; usage, latency and retries are of that run",
        "shared": "shared: an equal request of this run brought the answer",
    }
    kinds = dict.fromkeys(sources.values())
    if len(kinds) == 1:
        return meant.get(next(iter(kinds)), next(iter(kinds)))
    return "; ".join(f"{slot} {meant.get(kind, kind)}" for slot, kind in sources.items())
