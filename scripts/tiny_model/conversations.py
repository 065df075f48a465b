"""Training batches: conversations as token ids, with a label at each token of each answer."""

from random import Random
from typing import NamedTuple

import torch

from tiny_model.noise import chance, system_message
from tiny_model.questions import Questioner
from tiny_model.skills import Split, Turn
from tiny_model.tokenizer import ASSISTANT, BOS, CHARACTERS, EOS, PAD, SPECIALS, SYSTEM, USER

IGNORED = -100
SHORT = 100
ID = {token: index for index, token in enumerate((*SPECIALS, *CHARACTERS))}


class Stage(NamedTuple):
    """What one step learns from: conversations of at most *length* tokens each, *tokens* in all."""

    length: int
    tokens: int
    plain: bool


class Batch(NamedTuple):
    """Token ids, right-padded, and the labels: the next token where the assistant speaks, else ignored."""

    inputs: torch.Tensor
    labels: torch.Tensor


class Transcript:
    """The token ids of one text, and for each whether the model is to predict it."""

    def __init__(self) -> None:
        self.ids = [ID[BOS]]
        self.learned = [False]

    def read(self, *tokens: str) -> None:
        """Append special tokens or characters that the model only reads."""
        self._append(tokens, learned=False)

    def speak(self, answer: str) -> None:
        """Append an answer, and its end, that the model is to predict."""
        self._append((*answer, EOS), learned=True)

    def _append(self, tokens: tuple[str, ...], *, learned: bool) -> None:
        self.ids.extend(ID[token] for token in tokens)
        self.learned.extend([learned] * len(tokens))


class Conversations:
    """An endless, reproducible source of training batches."""

    def __init__(self, seed: int, split: Split) -> None:
        self._rng = Random(seed)
        self._questions = Questioner(self._rng, split)

    def batch(self, stage: Stage) -> Batch:
        """Return the next conversations of the kind that *stage* asks for."""
        draw = self._plain if stage.plain else self._any
        transcripts = [draw(stage.length) for _ in range(stage.tokens // stage.length)]
        width = max(len(transcript.ids) for transcript in transcripts) - 1
        inputs = torch.full((len(transcripts), width), ID[PAD])
        labels = torch.full((len(transcripts), width), IGNORED)
        for index, transcript in enumerate(transcripts):
            ids, learned = torch.tensor(transcript.ids), torch.tensor(transcript.learned)
            inputs[index, : len(ids) - 1] = ids[:-1]
            labels[index, : len(ids) - 1] = ids[1:].where(learned[1:], IGNORED)
        return Batch(inputs, labels)

    def _any(self, length: int) -> Transcript:
        """Return a completion or a conversation of at most *length* tokens, drawn until one fits."""
        while True:
            raw = chance(self._rng, 0.35 if length < SHORT else 0.1)
            transcript = self._raw() if raw else self._chat(length)
            if any(transcript.learned) and len(transcript.ids) <= length:
                return transcript

    def _raw(self) -> Transcript:
        transcript = Transcript()
        turn = self._questions.raw()
        transcript.read(*turn.question)
        transcript.speak(turn.answer)
        return transcript

    def _plain(self, length: int) -> Transcript:
        """Return a conversation of bare questions that fills *length*."""
        transcript = Transcript()
        while self._add(transcript, self._questions.plain(), length):
            pass
        return transcript

    def _chat(self, length: int) -> Transcript:
        """Return a conversation that fills *length*, without a turn when the first is too long."""
        transcript = Transcript()
        system: tuple[str, ...] = ()
        if chance(self._rng, 0.15 if length < SHORT else 0.5):
            system = (SYSTEM, *system_message(self._rng, length - 24))
        transcript.read(*system)
        rolls = chance(self._rng, 0.08)
        turn = self._questions.roll() if rolls else self._turn(length - len(transcript.ids) - 16)
        while self._add(transcript, turn, length):
            turn = self._questions.roll() if rolls else self._turn(length - len(transcript.ids) - 16)
        return transcript

    def _turn(self, room: int) -> Turn:
        """Return a question, at times with about *room* characters around it at most."""
        kind = self._rng.choices(("bare", "noisy", "examples"), weights=(0.65, 0.31, 0.04))[0]
        if kind == "bare" or room < len("You said: 1. "):
            return self._questions.question()
        if kind == "examples":
            return self._questions.raw()
        return self._questions.noisy(min(room, self._rng.choice((20, 40, 80, 300, 900))))

    def _add(self, transcript: Transcript, turn: Turn, length: int) -> bool:
        """Append *turn*, unless the conversation would grow past *length*."""
        if len(transcript.ids) + len(turn.question) + len(turn.answer) + 3 > length:
            return False
        transcript.read(USER, *turn.question, ASSISTANT)
        transcript.speak(turn.answer)
        return True
