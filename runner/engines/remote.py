"""Engines behind an address: the address, what is sent with every request, and what would stop it."""

from __future__ import annotations

import os
import re
from typing import Annotated, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from runner.engines.decoding import DEFAULT_MAX_BYTES
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


BaseUrl: TypeAlias = Annotated[str, AfterValidator(_base_url)]
"""An http or https address, up to and without /chat/completions."""


REMOTE_NEUTRAL = frozenset({"api_key_env", "headers_env", "stream", "batch_size", "max_response_bytes"})
"""Settings of every engine behind an address that don't change an answer."""


class EmbeddingSettings(EngineSettings):
    """What every engine that embeds lets you set."""

    batch_size: int = Field(32, ge=1, le=2048)
    """Most inputs of task embed in one request; `concurrency` still counts inputs."""


class RemoteSettings(EngineSettings):
    """What every engine behind an address lets you set."""

    api_key_env: EnvName | None = None
    """Environment variable that holds the key, sent as a bearer token; left out sends none."""
    headers_env: dict[Annotated[str, Field(pattern=_HEADER_NAME)], EnvName] = Field(default_factory=dict)
    """Further headers: name of the header -> environment variable that holds its value."""

    stream: bool = False
    """Have answers come in pieces, and record the time to the first and between them."""
    max_response_bytes: int = Field(DEFAULT_MAX_BYTES, ge=1, le=1_000_000_000_000)
    """Largest body of a response, decompressed; a row whose response is larger fails."""

    def key_variable(self) -> str | None:
        """Return the name of the variable that the key is read from."""
        return self.api_key_env

    def secret_names(self) -> tuple[str, ...]:
        """Return the names of the environment variables that are sent to the server."""
        named = (variable,) if (variable := self.key_variable()) else ()
        return (*named, *self.headers_env.values())

    def own_headers(self) -> dict[str, str]:
        """Return the headers that the engine sends by itself, in lower case -> where one sets them."""
        return {"authorization": "engine.api_key_env"} if self.api_key_env else {}

    def headers(self) -> list[str]:
        """Return the header lines that carry what the named variables hold."""
        variable = self.key_variable()
        lines = [f"Authorization: Bearer {os.environ[variable]}"] if variable else []
        return lines + [f"{name}: {os.environ[variable]}" for name, variable in self.headers_env.items()]

    def variable_faults(self) -> list[Fault]:
        """Find variables that are unset or unfit to be sent."""
        named = {"engine.api_key_env": variable} if (variable := self.key_variable()) else {}
        named |= {f"engine.headers_env.{header}": name for header, name in self.headers_env.items()}
        found = [_variable_fault(place, name) for place, name in named.items()]
        return [fault for fault in found if fault is not None]


class AttachedSettings(RemoteSettings):
    """What every engine lets you set that asks a server which somebody else has named its model for."""

    served_model_name: str | None = Field(None, min_length=1)
    """What the server calls the model in requests, where that is not `model.name`, which then says what the
    weights are: a folder counts in the request key by its content."""

    def asked_for(self, model: Model) -> str:
        """Return what requests to the address call the model."""
        return self.served_model_name or model.name


def _variable_fault(place: str, name: str) -> Fault | None:
    value = os.environ.get(name)
    if not value:
        state = "is empty" if value == "" else "is not set"
        problem = f"the environment variable {name} {state}"
        return Fault(place, problem, f"export {name}=...", asking=True)
    if not re.fullmatch(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?", value):
        why = "it has a line break, blanks around it, or other than ASCII characters"
        return Fault(place, f"the value of {name} can't be sent in a header: {why}", asking=True)
    return None
