"""From logits to tokens, each row by its own parameters, in vLLM's order.

What a constraint allows; tokens that may not come yet, and biases; penalties; then, unless the row is
greedy, temperature, min_p, top_k, top_p, and a draw.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import torch

from runner.engines.transformers_rows import Row, Wanted

Tensor: TypeAlias = torch.Tensor
_NEVER = float("-inf")


class Sampler:
    """Chooses the next token of each row of a batch."""

    def __init__(self, rows: Sequence[Row], vocabulary: int, device: torch.device) -> None:
        self._vocabulary = vocabulary
        self._device = device
        self._set(rows)
        self._penalised = any(row.wanted.penalised for row in rows)
        if self._penalised:
            self._prompted = torch.zeros(len(rows), vocabulary, dtype=torch.bool, device=device)
            for place, row in enumerate(rows):
                self._prompted[place, list(row.wanted.ids)] = True
            self._counts = torch.zeros(len(rows), vocabulary, dtype=torch.int32, device=device)

    def keep(self, rows: Sequence[Row], places: Tensor) -> None:
        """Go on with the *rows* that were at these *places*."""
        self._set(rows)
        if self._penalised:
            self._prompted, self._counts = self._prompted[places], self._counts[places]

    def _set(self, rows: Sequence[Row]) -> None:
        self._rows = rows
        asked = [row.wanted for row in rows]
        self._greedy = torch.tensor([wanted.greedy for wanted in asked], device=self._device)
        self._all_greedy = all(wanted.greedy for wanted in asked)
        self._temperature = self._column([1.0 if w.greedy else w.temperature for w in asked])
        self._min_p = self._column([wanted.min_p for wanted in asked])
        self._narrowed = [place for place, wanted in enumerate(asked) if _narrows(wanted, self._vocabulary)]
        narrowed = [asked[place] for place in self._narrowed]
        self._top_p = self._column([wanted.top_p for wanted in narrowed])
        kept = [min(wanted.top_k or self._vocabulary, self._vocabulary) for wanted in narrowed]
        self._top_k = torch.tensor(kept, dtype=torch.long, device=self._device).unsqueeze(1)
        self._repetition = self._column([wanted.repetition_penalty for wanted in asked])
        self._presence = self._column([wanted.presence_penalty for wanted in asked])
        self._frequency = self._column([wanted.frequency_penalty for wanted in asked])

        biases = [(place, *bias) for place, w in enumerate(asked) for bias in w.logit_bias.items()]
        self._biased = self._bias(biases) if biases else None

    def _bias(self, biases: Sequence[tuple[int, int, float]]) -> tuple[Tensor, Tensor, Tensor]:
        places, tokens, values = zip(*biases, strict=True)
        return (
            torch.tensor(places, device=self._device),
            torch.tensor(tokens, device=self._device),
            torch.tensor(values, dtype=torch.float32, device=self._device),
        )

    def _column(self, values: Sequence[float]) -> Tensor:
        return torch.tensor(values, dtype=torch.float32, device=self._device).unsqueeze(1)

    def choose(self, logits: Tensor) -> Tensor:
        """Return the next token of each row, -1 where the logits are no numbers; *logits* are changed."""
        for place, row in enumerate(self._rows):
            if row.matcher is not None:
                logits[place].masked_fill_(~_allowed(row.matcher, self._vocabulary).to(self._device), _NEVER)
            if row.bars:
                logits[place, list(row.wanted.barred)] = _NEVER
        if self._biased is not None:
            places, tokens, values = self._biased
            logits[places, tokens] += values
        if self._penalised:
            self._penalise(logits)
        best, tokens = logits.max(dim=-1)
        if not self._all_greedy:
            tokens = torch.where(self._greedy, tokens, self._drawn(logits))
        if self._penalised:
            self._counts.scatter_add_(1, tokens.unsqueeze(1), torch.ones_like(self._counts[:, :1]))
        return tokens.masked_fill(best.isnan() | best.isposinf(), -1)

    def _penalise(self, logits: Tensor) -> None:
        said = self._counts > 0
        factor = torch.where(self._prompted | said, self._repetition, 1.0)
        logits.copy_(torch.where(logits > 0, logits / factor, logits * factor))
        logits -= self._frequency * self._counts
        logits -= self._presence * said

    def _drawn(self, logits: Tensor) -> Tensor:
        """Draw by one number a row: the token at which the probabilities, added up, exceed it."""
        logits = logits / self._temperature
        if bool((self._min_p > 0).any()):
            probabilities = logits.softmax(dim=-1)
            least = probabilities.amax(dim=-1, keepdim=True) * self._min_p
            logits = logits.masked_fill(probabilities < least, _NEVER)
        if self._narrowed:
            logits[self._narrowed] = _narrowed(logits[self._narrowed], self._top_k, self._top_p)
        summed = logits.softmax(dim=-1, dtype=torch.float64).cumsum(dim=-1)
        numbers = [[0.0 if row.wanted.greedy else row.draw()] for row in self._rows]
        drawn = torch.tensor(numbers, dtype=torch.float64, device=self._device) * summed[:, -1:]
        # Rounding must not carry it up to the sum itself, which no token exceeds.
        below = torch.nextafter(summed[:, -1:], torch.zeros_like(drawn))
        found = torch.searchsorted(summed, torch.minimum(drawn, below), right=True).squeeze(1)
        return found.clamp(max=self._vocabulary - 1)


def _allowed(matcher: Any, vocabulary: int) -> Tensor:
    """Return whether each token may come next."""
    packed = torch.frombuffer(bytearray(matcher.compute_bitmask()), dtype=torch.uint8)
    bits = (packed.unsqueeze(1) >> torch.arange(8, dtype=torch.uint8)) & 1
    allowed = torch.zeros(vocabulary, dtype=torch.bool)
    known = min(vocabulary, bits.numel())
    allowed[:known] = bits.flatten()[:known].bool()
    return allowed


def _narrows(wanted: Wanted, vocabulary: int) -> bool:
    return not wanted.greedy and (0 < wanted.top_k < vocabulary or wanted.top_p < 1.0)


def _narrowed(logits: Tensor, top_k: Tensor, top_p: Tensor) -> Tensor:
    """Leave the top_k likeliest tokens, then the smallest set of those with top_p of their probability."""
    ordered, places = logits.sort(dim=-1)
    least = ordered.gather(1, ordered.shape[1] - top_k)
    ordered = ordered.masked_fill(ordered < least, _NEVER)
    cut = ordered.softmax(dim=-1).cumsum(dim=-1) <= 1 - top_p
    cut[:, -1] = False
    return logits.scatter(1, places, ordered.masked_fill(cut, _NEVER))
