"""How far two points agree, answer by answer: which are the same, and where the others part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import msgspec

from runner.points import PointRecords
from runner.questions import ResultLine
from runner.records import OK
from runner.values import Choice, Response, TokenLogprob, decode_response

_BATCH = 500
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
        place: of the first token that differs, from 0; of the first character, where there are no tokens.
        tokens: what each has there; empty where one has ended.
        gap: how much less likely, in log probability, each model holds the other's token than its own there;
            None where it wasn't told.
    """

    id: str
    sample: int
    place: int
    tokens: tuple[str, str]
    gap: tuple[float | None, float | None]


@dataclass(slots=True)
class Agreement:
    """Two points compared.

    Attributes:
        same: answers that agree to the last token.
        total: answers that both have.
        by: ``token`` where both tell their tokens, else ``text``.
        first: the first that don't agree, in the dataset's order.
        one_sided: answers that only one of them has.
    """

    names: tuple[str, str]
    same: int = 0
    total: int = 0
    by: str = "token"
    first: Divergence | None = None
    one_sided: int = 0
    parted: list[Divergence] = field(default_factory=list)


def answers(folder: Path) -> Iterator[Answer]:
    """Yield the answers of a point's folder in the dataset's order; rows without one are left out."""
    with PointRecords(folder / "cache.sqlite") as records:
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


def agreements(points: Sequence[tuple[str, Path]]) -> list[Agreement]:
    """Compare every pair of points, given by name and folder."""
    read = {name: {(a.id, a.sample): a for a in answers(folder)} for name, folder in points}
    return [_compared((one, other), read[one], read[other]) for one, other in combinations(read, 2)]


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
    agreement.first = agreement.parted[0] if agreement.parted else None
    return agreement


def _parting(key: tuple[str, int], mine: Choice, theirs: Choice) -> tuple[Divergence | None, str]:
    """Return where two answers part, and by what they were compared."""
    if mine.logprobs is None or theirs.logprobs is None:
        texts = (mine.text, theirs.text)
        place = _first_difference(*texts)
        if place is None:
            return None, "text"
        tokens = (mine.text[place : place + 1], theirs.text[place : place + 1])
        return Divergence(*key, place, tokens, (None, None)), "text"
    spoken = (_spoken(mine), _spoken(theirs))
    place = _first_difference([t.token for t in spoken[0]], [t.token for t in spoken[1]])
    if place is None:
        return None, "token"
    at = tuple(tokens[place] if place < len(tokens) else None for tokens in spoken)
    own, other = at[0], at[1]
    tokens = (own.token if own else "", other.token if other else "")
    return Divergence(*key, place, tokens, (_gap(own, tokens[1]), _gap(other, tokens[0]))), "token"


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
