"""Training batches: conversations as token ids, with a label at each token of each answer."""

from dataclasses import dataclass, field
from random import Random

import torch

from tiny_model.noise import system_message
from tiny_model.questions import Questioner
from tiny_model.skills import Split, Turn
from tiny_model.tokenizer import ASSISTANT, BOS, EOS, PAD, SYSTEM, USER, build_tokenizer

IGNORED = -100


@dataclass(frozen=True, slots=True)
class Batch:
    """Token ids, right-padded, and the labels: the next token where the assistant speaks, else ignored."""

    inputs: torch.Tensor
    labels: torch.Tensor


@dataclass(slots=True)
class Tokens:
    """Token ids under construction, each with whether the model is to predict it."""

    ids: list[int] = field(default_factory=list)
    learned: list[bool] = field(default_factory=list)

    def add(self, ids: list[int], *, learned: bool) -> None:
        """Append *ids*, to be predicted or only to be read."""
        self.ids.extend(ids)
        self.learned.extend([learned] * len(ids))


class Conversations:
    """An endless, reproducible source of training batches."""

    def __init__(self, seed: int, split: Split) -> None:
        self._rng = Random(seed)
        self._questions = Questioner(self._rng, split)
        tokenizer = build_tokenizer()
        vocabulary = tokenizer.get_vocab()
        self._special = {name: vocabulary[name] for name in (BOS, EOS, PAD, SYSTEM, USER, ASSISTANT)}
        self._of_character = {
            character: tokenizer.encode(character, add_special_tokens=False).ids[0]
            for character in map(chr, (9, 10, *range(32, 127)))
        }

    def batch(self, length: int, tokens: int, *, plain: bool) -> Batch:
        """Return conversations of at most *length* tokens each, *tokens* in all; *plain* ones hold bare questions."""
        rows = [self._plain(length) if plain else self._row(length) for _ in range(tokens // length)]
        width = max(len(row.ids) for row in rows) - 1
        inputs = torch.full((len(rows), width), self._special[PAD])
        labels = torch.full((len(rows), width), IGNORED)
        for index, row in enumerate(rows):
            size = len(row.ids) - 1
            inputs[index, :size] = torch.tensor(row.ids[:-1])
            targets = [token if learned else IGNORED for token, learned in zip(row.ids[1:], row.learned[1:], strict=True)]
            labels[index, :size] = torch.tensor(targets)
        return Batch(inputs, labels)

    def _plain(self, length: int) -> Tokens:
        row = Tokens([self._special[BOS]], [False])
        while True:
            turn = self._questions.plain()
            if len(row.ids) + len(turn.question) + len(turn.answer) + 3 > length:
                return row
            self._add(row, turn)

    def _row(self, length: int) -> Tokens:
        while True:
            row = self._raw() if self._rng.random() < (0.35 if length < 100 else 0.1) else self._chat(length)
            if row is not None and len(row.ids) <= length:
                return row

    def _raw(self) -> Tokens:
        row = Tokens([self._special[BOS]], [False])
        turn = self._questions.raw()
        row.add(self._characters(turn.question), learned=False)
        row.add([*self._characters(turn.answer), self._special[EOS]], learned=True)
        return row

    def _chat(self, length: int) -> Tokens | None:
        """Return a conversation that fills *length*, or nothing when its first turn alone is too long."""
        row = Tokens([self._special[BOS]], [False])
        room = length - 24
        if self._rng.random() < (0.15 if length < 100 else 0.5):
            row.add([self._special[SYSTEM], *self._characters(system_message(self._rng, room))], learned=False)
        first = len(row.ids)
        rolls = self._rng.random() < 0.06
        while True:
            turn = self._questions.roll() if rolls else self._turn(length - len(row.ids) - 16)
            if len(row.ids) + len(turn.question) + len(turn.answer) + 3 > length:
                return row if len(row.ids) > first else None
            self._add(row, turn)

    def _add(self, row: Tokens, turn: Turn) -> None:
        row.add([self._special[USER], *self._characters(turn.question), self._special[ASSISTANT]], learned=False)
        row.add([*self._characters(turn.answer), self._special[EOS]], learned=True)

    def _turn(self, room: int) -> Turn:
        draw = self._rng.random()
        if room > 60 and draw < 0.04:
            return self._questions.raw()
        if room > 12 and draw < 0.35:
            return self._questions.noisy(min(room, self._rng.choice((20, 40, 80, 300, 900))))
        return self._questions.question()

    def _characters(self, text: str) -> list[int]:
        return [self._of_character[character] for character in text]
