"""How far two points agree, answer by answer: which are the same, and where the others part."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import msgspec

from runner.points import PointRecords
from runner.records import OK
from runner.results import ResultLine
from runner.runs import RunFolder, read_file, write_file
from runner.values import Choice, Response, TokenLogprob, decode_response

PARITY_FILE = "parity.json"
"""In a run's folder: which of its points are compared, and how far they agreed when somebody last looked."""

_BATCH = 500
_REMAKE = "delete it, and ask for the parity again: what is answered is not asked anew"
_line = msgspec.json.Decoder(ResultLine)


@dataclass(frozen=True, slots=True)
class Answer:
    """The answers of one row and sample, one a slot."""

    id: str
    sample: int
    choices: tuple[Choice, ...]


@dataclass(frozen=True, slots=True)
class Divergence:
    """Where two answers part.

    Attributes:
        id: the row.
        sample: which of its answers.
        by: ``token``, or ``text`` where one doesn't tell its tokens.
        place: of the first token that differs, from 0; by text, of the first character.
        tokens: what each has there; empty where one has ended.
        gap: how much less likely, in log probability, each model holds the other's token than its own there;
            None where it wasn't told.
    """

    id: str
    sample: int
    by: str
    place: int
    tokens: tuple[str, str]
    gap: tuple[float | None, float | None]


@dataclass(slots=True)
class Agreement:
    """Two points compared.

    Attributes:
        names: what they are called.
        same: answers that agree to the last token.
        total: answers that both have.
        by: ``token`` where both tell their tokens, else ``text``.
        one_sided: answers that only one of them has.
        parted: all that don't agree, in the dataset's order.
    """

    names: tuple[str, str]
    same: int = 0
    total: int = 0
    by: str = "token"
    one_sided: int = 0
    parted: list[Divergence] = field(default_factory=list)


class Parity(msgspec.Struct, frozen=True):
    """A run's points compared, as `PARITY_FILE` holds it.

    Attributes:
        names: point -> what it is called.
        seen: point -> the answers that it had when they were compared.
        pairs: each of any two.
        silent: names of those that told no log probabilities.
    """

    names: dict[str, str]
    seen: dict[str, int] = {}
    pairs: list[Agreement] = []
    silent: list[str] = []


def planned(names: Mapping[str, str]) -> bytes:
    """Return what `PARITY_FILE` holds for points that are yet to be asked, given with their names."""
    return _encoded(Parity(dict(names)))


def parity(run: RunFolder, answered: Mapping[str, int]) -> Parity | None:
    """Return how far a run's points agree; None for a run that compares none.

    Args:
        run: its folder, folded.
        answered: point -> the answers that it has; they are compared anew only where these are others.

    Raises:
        UserError: a file of the run is damaged.
    """
    if not (run.path / PARITY_FILE).exists():
        return None
    known = read_file(run.path / PARITY_FILE, Parity, _REMAKE)
    seen = {point: answered.get(point, 0) for point in known.names}
    if known.seen == seen:
        return known
    read = {
        name: {(a.id, a.sample): a for a in answers(run.point(point))} for point, name in known.names.items()
    }
    pairs = [_compared((one, other), read[one], read[other]) for one, other in combinations(read, 2)]
    silent = [name for name, found in read.items() if not all(map(_tells, found.values()))]
    made = Parity(known.names, seen, pairs, silent)
    if os.access(run.path, os.W_OK):
        write_file(run.path / PARITY_FILE, _encoded(made))
    return made


def _encoded(found: Parity) -> bytes:
    return msgspec.json.format(msgspec.json.encode(found), indent=1)


def answers(folder: Path) -> Iterator[Answer]:
    """Yield the answers of a point's folder in the dataset's order; rows without one are left out."""
    file = folder / "cache.sqlite"
    if not file.exists():
        return
    with PointRecords(file, write=os.access(folder, os.W_OK)) as records:
        batch: list[ResultLine] = []
        for state, line in list(records.lines()):
            if state == OK:
                batch.append(_line.decode(line))
            if len(batch) == _BATCH:
                yield from _read(records, batch)
                batch = []
        yield from _read(records, batch)


def _read(records: PointRecords, lines: Sequence[ResultLine]) -> Iterator[Answer]:
    keys = [bytes.fromhex(key) for line in lines for key in line.keys.values()]
    found = {key: decode_response(data) for key, data in records.find(keys).items()} if keys else {}
    for line in lines:
        responses: list[Response] = [found[bytes.fromhex(key)] for key in line.keys.values()]
        yield Answer(line.id, line.sample, tuple(response.choices[0] for response in responses))


def _tells(answer: Answer) -> bool:
    """Tell whether log probabilities stand beside an answer; one without text has none to tell."""
    return all(choice.logprobs is not None for choice in answer.choices if choice.text)


def _compared(
    names: tuple[str, str], one: dict[tuple[str, int], Answer], other: dict[tuple[str, int], Answer]
) -> Agreement:
    agreement = Agreement(names, one_sided=len(one.keys() ^ other.keys()))
    for key, answer in one.items():
        if key not in other:
            continue
        agreement.total += 1
        parting = None
        for mine, theirs in zip(answer.choices, other[key].choices, strict=True):
            if parting is None:
                parting, by = _parting(key, mine, theirs)
                agreement.by = by if by == "text" else agreement.by
        if parting is None:
            agreement.same += 1
        else:
            agreement.parted.append(parting)
    return agreement


def _parting(key: tuple[str, int], mine: Choice, theirs: Choice) -> tuple[Divergence | None, str]:
    """Return where two answers part, and by what they were compared."""
    if mine.logprobs is None or theirs.logprobs is None:
        return _parting_text(key, mine, theirs), "text"
    spoken = (_spoken(mine), _spoken(theirs))
    place = _first_difference([t.token for t in spoken[0]], [t.token for t in spoken[1]])
    if place is None:
        return None, "token"
    at = tuple(tokens[place] if place < len(tokens) else None for tokens in spoken)
    own, other = at[0], at[1]
    tokens = (own.token if own else "", other.token if other else "")
    return Divergence(*key, "token", place, tokens, (_gap(own, tokens[1]), _gap(other, tokens[0]))), "token"


def _parting_text(key: tuple[str, int], mine: Choice, theirs: Choice) -> Divergence | None:
    place = _first_difference(mine.text, theirs.text)
    if place is None:
        return None
    characters = (mine.text[place : place + 1], theirs.text[place : place + 1])
    gap = (_gap_to_text(mine, place, theirs.text), _gap_to_text(theirs, place, mine.text))
    return Divergence(*key, "text", place, characters, gap)


def _gap_to_text(mine: Choice, place: int, other: str) -> float | None:
    """Return how much less likely a model holds the token that *other* goes on with where they part."""
    start = 0
    for own in _spoken(mine):
        end = start + len(own.token)
        if mine.text[start:end] != own.token:
            return None
        if place < end:
            fitting = [token for token, _ in own.top if token and other.startswith(token, start)]
            return _gap(own, max(fitting, key=len)) if fitting else None
        start = end
    return None


def _spoken(choice: Choice) -> tuple[TokenLogprob, ...]:
    """Return the tokens of an answer without the one that ends it, which not every engine tells."""
    tokens = choice.logprobs or ()
    text = "".join(token.token for token in tokens)
    if choice.finish_reason == "stop" and text != choice.text and text.startswith(choice.text):
        return tokens[:-1]
    return tokens


def _first_difference(one: Sequence[str], other: Sequence[str]) -> int | None:
    for place, (mine, theirs) in enumerate(zip(one, other, strict=False)):
        if mine != theirs:
            return place
    return None if len(one) == len(other) else min(len(one), len(other))


def _gap(own: TokenLogprob | None, other: str) -> float | None:
    if own is None:
        return None
    told = dict(own.top).get(other)
    return None if told is None else own.logprob - told
