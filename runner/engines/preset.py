"""Providers whose API is OpenAI's: asked over our own HTTP path, each with its own address and table."""

from __future__ import annotations

from functools import partial

from runner.engines.base import Engine, EngineKind
from runner.engines.notes import SILENT, Notes
from runner.engines.openai_body import Body
from runner.engines.sdk import ProviderSettings, require_ready
from runner.secrets import Secrets
from runner.spec import EngineSettings, Model


def preset_engine(
    kind: EngineKind, settings: EngineSettings, model: Model, address: str, notes: Notes = SILENT
) -> Engine:
    """Return the engine that asks *address*, unless the settings name another; raises as `require_ready`."""
    require_ready(kind, settings, model)
    from runner.engines.http import HttpClient
    from runner.engines.openai_endpoint import Endpoint
    from runner.engines.openai_engine import OpenAIEngine

    assert isinstance(settings, ProviderSettings)
    return OpenAIEngine(
        Endpoint(
            engine=kind.name,
            base_url=settings.base_url or address,
            body=Body(model.name, kind.capabilities.sampling),
            headers=settings.headers(),
            timeout=settings.timeout,
            stream=settings.stream,
            secrets=Secrets.of(settings.secret_names()),
            client=partial(HttpClient, max_response_bytes=settings.max_response_bytes),
            notes=notes,
        )
    )
