"""Any server that speaks the OpenAI API: what YAML may say of it, and what would stop it."""

from __future__ import annotations

import os
import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from runner.engines.base import Capabilities, EngineKind
from runner.errors import Fault
from runner.spec import EngineSettings, EnvName, Model

_ENDPOINTS = ("/chat/completions", "/completions")
_HEADER_NAME = r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"


def _base_url(value: str) -> str:
    url = value.strip().rstrip("/")
    if "://" not in url:
        raise ValueError(f'{value!r} has no scheme; write "http://{url}" or "https://{url}"')
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(f"{value!r} is not a URL: {error}") from None
    if parts.scheme not in {"http", "https"} or not host:
        raise ValueError(f"{value!r} is not an http or https address such as http://localhost:8000/v1")
    if parts.username or parts.password:
        raise ValueError("a key in the address would be written down; name its variable in api_key_env")
    if parts.query or parts.fragment:
        raise ValueError(f"{value!r}: the address ends before any ? or #")
    if ending := next((end for end in _ENDPOINTS if url.endswith(end)), None):
        raise ValueError(f"{value!r} ends in {ending}, which is added to it; leave it off")
    return url


class OpenAICompatible(EngineSettings):
    """A server that is already running: vLLM, SGLang, llama.cpp, a gateway, a provider."""

    kind: Literal["openai_compatible"] = "openai_compatible"
    """A running server with an OpenAI-compatible API."""
    base_url: Annotated[str, AfterValidator(_base_url)]
    """Address up to and without /chat/completions, such as http://localhost:8000/v1."""
    api_key_env: EnvName | None = None
    """Environment variable that holds the key, sent as a bearer token; left out sends none."""
    headers_env: dict[Annotated[str, Field(pattern=_HEADER_NAME)], EnvName] = Field(default_factory=dict)
    """Further headers: name of the header -> environment variable that holds its value."""

    def secret_names(self) -> tuple[str, ...]:
        """Return the names of the environment variables that are sent to the server."""
        named = (self.api_key_env,) if self.api_key_env else ()
        return (*named, *self.headers_env.values())


def check(settings: EngineSettings, model: Model) -> list[Fault]:
    """Find variables that are unset or unfit, and what of the model is the server's own affair."""
    assert isinstance(settings, OpenAICompatible)
    named = {"engine.api_key_env": settings.api_key_env} if settings.api_key_env else {}
    named |= {f"engine.headers_env.{header}": name for header, name in settings.headers_env.items()}
    found = [_variable_fault(place, name) for place, name in named.items()]
    return [fault for fault in found if fault is not None] + _model_faults(model)


def _model_faults(model: Model) -> list[Fault]:
    given = [name for name in ("dtype", "quantization", "tokenizer", "chat_template") if getattr(model, name)]
    return [
        Fault(
            f"model.{name}",
            f"openai_compatible can't set it: the server was started with its own {name}",
            "leave it out; model.revision may name what the server runs",
        )
        for name in given
    ]


def _variable_fault(place: str, name: str) -> Fault | None:
    value = os.environ.get(name)
    if not value:
        state = "is empty" if value == "" else "is not set"
        return Fault(place, f"the environment variable {name} {state}", f"export {name}=...")
    if not re.fullmatch(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?", value):
        why = "it has a line break, blanks around it, or other than ASCII characters"
        return Fault(place, f"the value of {name} can't be sent in a header: {why}")
    return None


SAMPLING = {
    name: name
    for name in (
        "temperature",
        "top_p",
        "top_k",
        "min_p",
        "max_tokens",
        "stop",
        "seed",
        "n",
        "logprobs",
        "top_logprobs",
        "presence_penalty",
        "frequency_penalty",
        "repetition_penalty",
    )
}
"""Our names, which are those of OpenAI and, for what OpenAI lacks, of vLLM and SGLang."""

KIND = EngineKind(
    settings=OpenAICompatible,
    capabilities=Capabilities(
        tasks=frozenset({"chat", "complete"}),
        sampling=SAMPLING,
        defaults={"temperature": 1.0, "top_p": 1.0},
        concurrency=64,
        shared=True,
    ),
    factory="runner.engines.openai_engine:OpenAIEngine",
    summary="any server with an OpenAI-compatible API, by its address",
    neutral=frozenset({"api_key_env", "headers_env"}),
    check=check,
)
