"""What identifies a model and an engine in every request key, wherever they lie and however they run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

from runner.engines.base import EngineKind, flag_name
from runner.engines.registry import NEUTRAL, engine_kinds
from runner.engines.weights import find_weights
from runner.errors import InputChangedError
from runner.hashes import content_hash
from runner.plugins import USER_CODE
from runner.spec import EngineSettings, Model
from runner.values import Json, Scope

MODEL_FILES = ("tokenizer", "chat_template")
"""Fields of a model that may name files of the user's besides its weights."""

Hash: TypeAlias = Callable[..., str]
"""Called as `content_hash` is."""


def make_scope(
    model: Model,
    engine: EngineSettings,
    kind: EngineKind,
    *,
    strict: bool = False,
    hashed: Hash = content_hash,
) -> Scope:
    """Return the identity of a model on an engine.

    Local weights, adapters, tokenizers and chat templates count by content; a hub model by the commit that
    the local hub cache resolves it to; a served model by its name and revision, or by the content of the
    folder that it is said to be, beside the server's name for it. A base URL counts unless
    ``model.revision`` names what it serves. The code of an engine that a user's package adds counts, by
    version and content. With *strict* the version of the package that an engine needs counts too.
    *hashed* may remember what it has hashed for others that ask in the same moment.
    """
    identity = _engine(model, engine, kind)
    if strict and (version := kind.installed_version()) is not None:
        identity["version"] = version
    return Scope(model=_model(model, engine, kind, hashed), engine=identity)


def request_scope(scope: Scope, engine: EngineSettings, sampling: Mapping[str, Json]) -> Scope:
    """Return what a request with these sampling values has of *scope* in its key.

    It counts that the answer is streamed where it may call tools: servers keep the text of a call that was
    cut off in one form and not in the other, and one without markup can't be told from other text
    (`runner.engines.cut_calls`). All other answers are the same.
    """
    if not getattr(engine, "stream", False) or not sampling.get("tools"):
        return scope
    return Scope(model=scope.model, engine={**scope.engine, "stream": True})


def model_file(model: Model, field: str) -> Path | None:
    """Return the file or folder that one of `MODEL_FILES` names; None if it is left out or a hub name."""
    value = getattr(model, field)
    return Path(value) if value is not None and Path(value).is_absolute() else None


def require_same_model(model: Model, engine: EngineSettings, kind: EngineKind, scope: Scope) -> None:
    """Make sure that a model is still what *scope* says.

    Raises:
        InputChangedError: its weights, tokenizer or chat template, or the commit of its revision, are others.
    """
    # What a server is said to serve is not read again: it need not even lie where the job runs.
    loads = kind.loads(engine)
    now = _model(model, engine, kind, content_hash) if loads else _parts(model, content_hash)
    for field in {**(scope.model if loads else {}), **now}:
        named = field in {*MODEL_FILES, "adapter"}
        what = f"{field.replace('_', ' ')} {getattr(model, field)}" if named else ""
        require_same(what or f"model {model.name}", now.get(field), scope.model.get(field))


def require_same(what: str, now: Json, launched: Json) -> None:
    """Make sure that an input is *now* what it was when its run was *launched*.

    Raises:
        InputChangedError: it is another.
    """
    if now != launched:
        raise InputChangedError(f"{what} has changed since this run was launched; start a new run")


def _engine(model: Model, engine: EngineSettings, kind: EngineKind) -> dict[str, Json]:
    left_out = NEUTRAL | kind.neutral | ({"base_url"} if model.revision is not None else set())
    settings = engine.model_dump(mode="json", exclude=set(left_out), exclude_none=True)
    args = settings.get("args", {})
    said = {flag: value for flag, value in args.items() if flag_name(flag) not in kind.neutral_args}
    code = engine_kinds().code(kind.name)
    return {
        "kind": kind.name,
        **settings,
        **({"args": said} if args else {}),
        **({USER_CODE: code} if code else {}),
    }


def _model(model: Model, engine: EngineSettings, kind: EngineKind, hashed: Hash) -> dict[str, Json]:
    return {**_weights(model, engine, kind, hashed), **_parts(model, hashed)}


def _weights(model: Model, engine: EngineSettings, kind: EngineKind, hashed: Hash) -> dict[str, Json]:
    loads = kind.loads(engine)
    # The server's word for a hub name is not this machine's cache; a folder is what it is said to be.
    here = loads or (kind.names_weights(engine) and Path(model.name).is_absolute())
    found = find_weights(model.name, model.revision) if here else None
    label: dict[str, Json] = {"revision": model.revision} if model.revision else {}
    if found is None:
        return {"name": model.name, **label}
    if found.commit is None:
        return {"weights": hashed(found.folder), **({} if loads else label)}
    return {"name": found.name, "revision": found.commit}


def _parts(model: Model, hashed: Hash) -> dict[str, Json]:
    """Return what identifies all of a model beside its weights."""
    identity: dict[str, Json] = {
        name: value for name in ("dtype", "quantization") if (value := getattr(model, name)) is not None
    }
    for name in MODEL_FILES:
        if (file := model_file(model, name)) is not None:
            identity[name] = hashed(file, weights=False) if file.exists() else None
        elif (value := getattr(model, name)) is not None:
            identity[name] = _hub_name(value)
    if model.adapter is not None:
        identity["adapter"] = _adapter(model.adapter, hashed)
    return identity


def _adapter(name: str, hashed: Hash) -> str:
    found = find_weights(name)
    return hashed(found.folder) if found is not None and found.commit is None else _hub_name(name)


def _hub_name(name: str) -> str:
    found = find_weights(name)
    return name if found is None else f"{name}@{found.commit}"
