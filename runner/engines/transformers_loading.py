"""Loads a model and its tokenizer from this machine's disk; nothing is ever downloaded."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

from runner.engines.adapters import find_adapter
from runner.engines.dtypes import DTYPES
from runner.engines.transformers import Transformers
from runner.engines.transformers_cache import cache_parameter
from runner.engines.transformers_grammar import Grammars
from runner.engines.weights import find_weights, weights_fault, weights_folder
from runner.errors import EngineStartError
from runner.extras import pip_install
from runner.files import read_text
from runner.spec import Model

_FAILURES = (OSError, ValueError, KeyError, RuntimeError, ImportError, AttributeError, SafetensorError)
"""What the library raises on files that it can't make a model of."""
_NO_BOUND = 10**9
"""What tokenizers say from here on means that they know of none."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model that is ready.

    Attributes:
        context: most tokens of prompt and answer together; None if the model has no bound.
        vocabulary: ids are below it.
        ends: tokens that the model itself ends with.
        accepts: parameters of its forward call.
        cache: the one of them that takes the keys and values of the tokens read before.
        grammars: makes what keeps answers to constraints.
    """

    model: Any
    tokenizer: Any
    device: torch.device
    context: int | None
    vocabulary: int
    ends: frozenset[int]
    accepts: frozenset[str]
    cache: str
    grammars: Grammars

    def text(self, ids: Sequence[int]) -> str:
        """Decode tokens, without special ones."""
        return str(self._decoder.decode(ids, skip_special_tokens=True))

    def token_text(self, token: int) -> str:
        """Decode one token, special or not."""
        return str(self._decoder.decode([token], skip_special_tokens=False))

    @property
    def _decoder(self) -> Any:
        # The library below the tokenizer is several times faster and tidies nothing up.
        return self.tokenizer.backend_tokenizer if self.tokenizer.is_fast else self.tokenizer


def load(settings: Transformers, model: Model) -> Loaded:
    """Load a model to its device.

    Raises:
        EngineStartError: it isn't here, or can't be loaded or run by this engine.
    """
    if fault := weights_fault(model):
        raise EngineStartError(str(fault))
    folder = weights_folder(model)
    assert folder is not None
    device = _device(settings)
    logging.disable_progress_bar()
    try:
        tokenizer = _tokenizer(folder, model)
        network, told = AutoModelForCausalLM.from_pretrained(
            folder, dtype=DTYPES[model.dtype or "auto"], local_files_only=True, output_loading_info=True
        )
        if model.adapter is not None:
            network.load_adapter(str(_adapter_folder(model.adapter)))
        network = network.to(device).eval()
    except _FAILURES as error:
        line = str(error).strip().partition("\n")[0]
        raise EngineStartError(f"transformers can't load {model.name}: {line}") from error
    if missing := sorted(told["missing_keys"]):
        # The library would go on with random numbers in their place.
        few = f"{missing[0]} and {len(missing) - 1} more" if len(missing) > 1 else missing[0]
        raise EngineStartError(f"transformers can't load {model.name}: no weights for {few}")
    accepts = frozenset(inspect.signature(network.forward).parameters)
    cache = cache_parameter(network)
    if cache is None:
        what = type(network).__name__
        raise EngineStartError(f"transformers: {what} keeps no keys and values, and is not supported here")
    own = network.config.get_text_config(decoder=True)
    ends = _ends(network.generation_config, tokenizer)
    return Loaded(
        model=network,
        tokenizer=tokenizer,
        device=device,
        context=_context(own, tokenizer),
        vocabulary=own.vocab_size,
        ends=ends,
        accepts=accepts,
        cache=cache,
        grammars=Grammars(tokenizer, own.vocab_size, ends),
    )


def _adapter_folder(name: str) -> Path:
    if find_spec("peft") is None:
        raise EngineStartError(
            f"transformers needs peft for adapters, which is not installed: {pip_install('peft')}"
        )
    found = find_adapter(name)
    if found is None:
        raise EngineStartError(f"no adapter {name} on this machine")
    return found.folder


def _device(settings: Transformers) -> torch.device:
    there = torch.cuda.is_available()
    if settings.device == "cuda" and not there:
        raise EngineStartError("engine.device is cuda, and torch sees no GPU of that kind here")
    return torch.device("cuda" if there and settings.device != "cpu" else "cpu")


def _tokenizer(folder: Path, model: Model) -> Any:
    name = model.tokenizer or str(folder)
    found = find_weights(name)
    tokenizer = AutoTokenizer.from_pretrained(found.folder if found else name, local_files_only=True)
    if tokenizer.is_fast:
        # Else it would be set again and again, while another thread decodes.
        tokenizer.backend_tokenizer.no_truncation()
        tokenizer.backend_tokenizer.no_padding()
    if model.chat_template is not None:
        tokenizer.chat_template = read_text(Path(model.chat_template))
    return tokenizer


def _context(config: Any, tokenizer: Any) -> int | None:
    bounds = (getattr(config, "max_position_embeddings", None), tokenizer.model_max_length)
    return next((int(bound) for bound in bounds if bound and 0 < bound < _NO_BOUND), None)


def _ends(generation_config: Any, tokenizer: Any) -> frozenset[int]:
    own = generation_config.eos_token_id
    listed = own if isinstance(own, list) else [own]
    return frozenset(token for token in (*listed, tokenizer.eos_token_id) if token is not None)
