"""SGLang in this process: what YAML may say of it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Literal

from runner.engines import sglang
from runner.engines.base import Engine, EngineContext, EngineKind, always
from runner.engines.offline import NEUTRAL, Offline, OfflineSettings, Running, offline_devices
from runner.engines.weights import absent_fault
from runner.errors import Fault
from runner.spec import EngineSettings, Model


class SglangOffline(OfflineSettings):
    """SGLang in this process (sgl.Engine), without a server: it has to be installed beside the runner.

    `topology` sets --tp-size, --pp-size and --dp-size.
    """

    kind: Literal["sglang_offline"] = "sglang_offline"
    """SGLang in this process; needs no server."""


def _open(words: Sequence[str]) -> AbstractAsyncContextManager[Running]:
    from runner.engines.sglang_offline_engine import opened

    return opened(words)


def _offline() -> Offline:
    return Offline("sglang_offline", sglang.SERVING, sglang.arguments, _open, KIND.installed_version)


def check(settings: EngineSettings, model: Model) -> list[Fault]:
    """Find what would stop it."""
    found = _offline().faults(settings, model) + sglang.adapter_faults(settings, model)
    # Weights that aren't here are a fault whatever they are called.
    return found if absent_fault(model) is not None else found + sglang.template_faults(model)


def create(settings: EngineSettings, model: Model, context: EngineContext) -> Engine:
    """Return the engine, not started yet."""
    from runner.engines.offline_engine import OfflineEngine

    return OfflineEngine(_offline(), settings, model, context)


KIND: EngineKind = replace(
    sglang.KIND,
    settings=SglangOffline,
    factory="runner.engines.sglang_offline:create",
    summary="SGLang in this process: no server",
    neutral=NEUTRAL,
    needs=always,
    devices=offline_devices,
    check=check,
)
