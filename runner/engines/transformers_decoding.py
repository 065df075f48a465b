"""The decoding loop: a batch of rows, token by token, on one model; finished rows leave it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from math import isnan
from typing import Any, TypeAlias

import torch
from transformers import DynamicCache

from runner.engines.transformers_loading import Loaded
from runner.engines.transformers_rows import Ask, Row
from runner.engines.transformers_sampling import Sampler
from runner.errors import EngineError
from runner.values import TokenLogprob

Tensor: TypeAlias = torch.Tensor
_CHUNK = 512
"""Tokens of a prompt whose logits are held at once."""
_LEAST = -9999.0
"""Stands for minus infinity, which JSON has no word for."""
_NAMES_KEPT = 65536


class Decoder:
    """Runs rows to their end; to be used from one thread.

    Attributes:
        most: rows that fit the memory at once, as far as is known.
    """

    def __init__(self, loaded: Loaded, most: int) -> None:
        self._loaded = loaded
        self._names = lru_cache(maxsize=_NAMES_KEPT)(loaded.token_text)
        self.most = most

    def run(self, rows: Sequence[Row]) -> None:
        """Take every row to its end; where the memory doesn't do for all of them, fewer at once.

        Raises:
            EngineError: it doesn't do for one row, or the model computes no numbers.
        """
        left = list(rows)
        while left:
            part, left = left[: self.most], left[self.most :]
            full = self._filled(part)
            if full is None:
                continue
            if len(part) == 1:
                raise EngineError(f"the memory does not do for a single answer: {full}")
            torch.cuda.empty_cache()
            again = [row for row in part if not row.over]
            for row in again:
                row.restart()
            self.most = len(part) // 2
            left = again + left

    def _filled(self, rows: Sequence[Row]) -> str | None:
        """Run rows; return what the allocator said if the memory was full."""
        try:
            with torch.inference_mode():
                self._run(rows)
        except torch.OutOfMemoryError as error:
            return str(error).partition("\n")[0]
        return None

    def _run(self, rows: Sequence[Row]) -> None:
        for ask in {id(row.ask): row.ask for row in rows}.values():
            if ask.wanted.prompt_logprobs is not None and ask.prompt_logprobs is None:
                ask.prompt_logprobs = self._prompt_logprobs(ask)
        live = [row for row in rows if not row.over]
        if not live:
            return
        batch = _Batch(self._loaded, live)
        sampler = Sampler(live, batch.logits.shape[1], self._loaded.device)
        while live:
            self._advance(live, batch.logits, sampler)
            places = [place for place, row in enumerate(live) if not row.over]
            if len(places) < len(live):
                live = [live[place] for place in places]
                kept = torch.tensor(places, dtype=torch.long, device=self._loaded.device)
                batch.keep(kept)
                sampler.keep(live, kept)
            if live:
                batch.step([row.tokens[-1] for row in live])

    def _advance(self, rows: Sequence[Row], logits: Tensor, sampler: Sampler) -> None:
        """Give each row its next token."""
        told = [place for place, row in enumerate(rows) if row.wanted.logprobs is not None]
        raw = logits[told].log_softmax(dim=-1) if told else None
        chosen = sampler.choose(logits)
        tokens = chosen.tolist()
        if min(tokens) < 0:
            raise self._overflow()
        logprobs: dict[int, TokenLogprob] = {}
        if raw is not None:
            counts = [rows[place].wanted.logprobs or 0 for place in told]
            logprobs = dict(zip(told, self._logprobs(raw, chosen[told], counts), strict=True))
        for place, (row, token) in enumerate(zip(rows, tokens, strict=True)):
            row.take(token, logprobs.get(place))

    def _overflow(self) -> EngineError:
        """Return the error for logits that are NaN or infinite."""
        dtype = str(self._loaded.model.dtype).removeprefix("torch.")
        why = "float16 holds no number above 65504; " if dtype == "float16" else ""
        told = f"the model computes NaN or infinity with dtype {dtype}: {why}set model.dtype to float32"
        return EngineError(f"{told} or bfloat16" if dtype == "float16" else told)

    def _logprobs(self, raw: Tensor, tokens: Tensor, counts: Sequence[int]) -> list[TokenLogprob]:
        """Return the log probability of each token, with as many alternatives as *counts* says."""
        own = raw.gather(1, tokens.unsqueeze(1)).squeeze(1).tolist()
        if any(map(isnan, own)):
            raise self._overflow()
        top = raw.topk(min(max(counts), raw.shape[1]), dim=-1)
        likeliest, values = top.indices.tolist(), top.values.tolist()
        return [
            TokenLogprob(
                token=self._names(token),
                logprob=max(logprob, _LEAST),
                token_id=token,
                top=tuple(
                    (self._names(other), max(value, _LEAST))
                    for other, value in zip(likeliest[place][:count], values[place], strict=False)
                ),
            )
            for place, (token, logprob, count) in enumerate(zip(tokens.tolist(), own, counts, strict=True))
        ]

    def _prompt_logprobs(self, ask: Ask) -> tuple[TokenLogprob | None, ...]:
        """Read a prompt a chunk at a time, as the logits of all its tokens may not fit the memory."""
        ids, device = ask.wanted.ids, self._loaded.device
        found: list[TokenLogprob | None] = [None]
        forward = _Forward(self._loaded)
        for start in range(0, len(ids) - 1, _CHUNK):
            chunk = ids[start : start + _CHUNK]
            following = torch.tensor(ids[start + 1 : start + 1 + len(chunk)], device=device)
            mask = torch.ones(1, start + len(chunk), dtype=torch.long, device=device)
            places = torch.arange(start, start + len(chunk), device=device).unsqueeze(0)
            logits = forward(torch.tensor([chunk], device=device), mask, places, last_only=False)[0]
            raw = logits[: len(following)].float().log_softmax(dim=-1)
            found += self._logprobs(raw, following, [ask.wanted.prompt_logprobs or 0] * len(following))
        return tuple(found)


class _Forward:
    """The model with the keys and values of what it has read so far."""

    def __init__(self, loaded: Loaded) -> None:
        self._model: Callable[..., Any] = loaded.model
        self._accepts = loaded.accepts
        self._parameter = loaded.cache
        self.cache = DynamicCache(config=loaded.model.config)

    def __call__(self, ids: Tensor, mask: Tensor, places: Tensor, *, last_only: bool = True) -> Tensor:
        """Read tokens and return their logits; with *last_only* at least those of the last ones."""
        further: dict[str, Any] = {"position_ids": places, "logits_to_keep": int(last_only)}
        logits: Tensor = self._model(
            input_ids=ids,
            attention_mask=mask,
            use_cache=True,
            return_dict=True,
            **{self._parameter: self.cache},
            **{name: value for name, value in further.items() if name in self._accepts},
        ).logits
        return logits


class _Batch:
    """Rows that are computed together, padded on the left; equal prompts are read once.

    Attributes:
        logits: of each row's next token.
    """

    def __init__(self, loaded: Loaded, rows: Sequence[Row]) -> None:
        self._device = loaded.device
        self._forward = _Forward(loaded)
        prompts = list(dict.fromkeys(row.wanted.ids for row in rows))
        longest = max(map(len, prompts))
        padding = [longest - len(prompt) for prompt in prompts]
        ids = [(0,) * pad + prompt for pad, prompt in zip(padding, prompts, strict=True)]
        mask = [(0,) * pad + (1,) * (longest - pad) for pad in padding]
        self._mask = torch.tensor(mask, device=self._device)
        places = (self._mask.cumsum(dim=-1) - 1).clamp(min=0)
        self._next = places[:, -1:] + 1
        self.logits = self._read(torch.tensor(ids, device=self._device), places)
        if len(prompts) < len(rows):
            own = {prompt: place for place, prompt in enumerate(prompts)}
            self.keep(torch.tensor([own[row.wanted.ids] for row in rows], device=self._device))

    def keep(self, places: Tensor) -> None:
        """Go on with the rows at these places, in this order."""
        self._forward.cache.reorder_cache(places)
        self._mask, self._next = self._mask[places], self._next[places]
        self.logits = self.logits[places]

    def step(self, tokens: Sequence[int]) -> None:
        """Read one more token of each row."""
        self._mask = torch.cat([self._mask, self._mask.new_ones(len(tokens), 1)], dim=1)
        self.logits = self._read(torch.tensor(tokens, device=self._device).unsqueeze(1), self._next)
        self._next = self._next + 1

    def _read(self, ids: Tensor, places: Tensor) -> Tensor:
        return self._forward(ids, self._mask, places)[:, -1, :].float()
