"""What a request asks, as tokens and numbers that the decoding loop takes."""

from __future__ import annotations

import hashlib
import inspect
import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from runner.engines.transformers_loading import Loaded
from runner.engines.transformers_rows import Wanted
from runner.errors import BadRequestError, ContextLengthError, EngineError
from runner.render import JinjaError
from runner.values import Json, Message, Request

_TAKEN_AS_THEY_ARE = (
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "min_tokens",
    "repetition_penalty",
    "presence_penalty",
    "frequency_penalty",
    "prompt_logprobs",
)


def wanted(request: Request, loaded: Loaded) -> Wanted:
    """Return what a request asks for.

    Raises:
        BadRequestError: messages or token ids that the model can't take.
        ContextLengthError: prompt and answer don't fit its context.
        EngineError: the model has no chat template.
    """
    sampling = {name: value for name, value in request.sampling.items() if value is not None}
    ids = _prompt(request, sampling, loaded)
    bias = {int(token): float(value) for token, value in sampling.get("logit_bias", {}).items()}
    stop_ids = frozenset(sampling.get("stop_token_ids", ()))
    _require_tokens("logit_bias", bias, loaded)
    _require_tokens("stop_token_ids", stop_ids, loaded)
    return Wanted(
        ids=ids,
        max_tokens=_room(ids, sampling.get("max_tokens"), loaded),
        seed=_seed(sampling.get("seed"), ids),
        ends=stop_ids if sampling.get("ignore_eos") else stop_ids | loaded.ends,
        barred=stop_ids | loaded.ends,
        n=sampling.get("n", 1),
        stops=tuple(sampling.get("stop", ())),
        logit_bias=bias,
        matcher=loaded.grammars.matcher(request),
        logprobs=sampling.get("top_logprobs", 0) if sampling.get("logprobs") else None,
        **{name: sampling[name] for name in _TAKEN_AS_THEY_ARE if name in sampling},
    )


def _seed(seed: int | None, ids: Sequence[int]) -> str:
    """Mix the prompt into the seed: rows that share a seed must not draw alike."""
    return secrets.token_hex(16) if seed is None else hashlib.sha256(repr((seed, ids)).encode()).hexdigest()


def _prompt(request: Request, sampling: Mapping[str, Json], loaded: Loaded) -> tuple[int, ...]:
    given: Any = request.input
    if request.task == "chat":
        ids = tuple(_chat(given, sampling, loaded.tokenizer))
    elif isinstance(given, str):
        ids = tuple(loaded.tokenizer.encode(given))
    else:
        ids = tuple(given)
        _require_tokens("the prompt", ids, loaded)
    if not ids:
        raise BadRequestError("the prompt has no tokens")
    return ids


def _require_tokens(what: str, ids: Iterable[int], loaded: Loaded) -> None:
    strange = next((i for i in ids if not 0 <= i < loaded.vocabulary), None)
    if strange is not None:
        raise BadRequestError(f"{what} has token {strange}; the model's are 0 to {loaded.vocabulary - 1}")


def _room(ids: Sequence[int], most: int | None, loaded: Loaded) -> int:
    """Return how many tokens an answer may have."""
    if loaded.context is None:
        if most is None:
            raise BadRequestError("the model's context has no bound: set sampling.max_tokens")
        return most
    room = loaded.context - len(ids)
    if room < 1 or (most is not None and most > room):
        answer = "" if most is None else f" and max_tokens is {most}"
        raise ContextLengthError(
            f"the model's context is {loaded.context} tokens; the prompt has {len(ids)}{answer}"
        )
    return room if most is None else most


def _chat(messages: Sequence[Message], sampling: Mapping[str, Json], tokenizer: Any) -> list[int]:
    if tokenizer.chat_template is None:
        raise EngineError("the tokenizer has no chat template: set model.chat_template, or task: complete")
    further = dict(sampling.get("chat_template_kwargs", {}))
    own = inspect.signature(tokenizer.apply_chat_template).parameters
    if taken := sorted(further.keys() & own.keys() - {"documents"}):
        raise BadRequestError(f"chat_template_kwargs can't set {', '.join(taken)}")
    goes_on = bool(sampling.get("continue_final_message"))
    if goes_on and (not messages or messages[-1].get("role") != "assistant"):
        raise BadRequestError("continue_final_message needs a last message of the assistant's")
    try:
        ids: list[int] = tokenizer.apply_chat_template(
            [_plain(message) for message in messages],
            add_generation_prompt=not goes_on,
            continue_final_message=goes_on,
            tokenize=True,
            return_dict=False,
            **further,
        )
    except (JinjaError, TypeError, ValueError, KeyError) as error:
        line = str(error).strip().partition("\n")[0]
        raise BadRequestError(f"the chat template can't take these messages: {line}") from error
    return ids


def _plain(message: Message) -> Message:
    """Return a message with its text in one string, which is what chat templates of text models take."""
    content = message.get("content")
    if not isinstance(message.get("role"), str) or not isinstance(content, str | list | None):
        raise BadRequestError("a message needs a role and a content of text")
    if content is None and not message.get("tool_calls"):
        raise BadRequestError("a message needs a role and a content of text")
    if not isinstance(content, list):
        return message
    kinds = sorted({str(part.get("type")) for part in content} - {"text"})
    if kinds:
        raise BadRequestError(f"engine transformers takes text, not {', '.join(kinds)}")
    return {**message, "content": "\n".join(part["text"] for part in content)}
