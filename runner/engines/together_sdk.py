"""Asks through Together's SDK, which has the form of OpenAI's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import together

from runner.engines.notes import SILENT, Notes
from runner.engines.openai_form import OpenAIForm
from runner.engines.sdk import CONNECT_SECONDS, ProviderSettings, send_only
from runner.engines.sdk_bodies import limited_bodies
from runner.values import Request


def together_client(
    settings: ProviderSettings, address: str, body: Callable[[Request], dict[str, Any]], notes: Notes = SILENT
) -> OpenAIForm:
    """Return a client of Together's SDK that asks *address*, whatever the environment says."""
    sdk = together.AsyncTogether(
        api_key=settings.api_key(),
        base_url=address,
        default_headers=settings.further_headers(),
        max_retries=0,
        timeout=httpx.Timeout(None, connect=CONNECT_SECONDS),
        http_client=together.DefaultAsyncHttpxClient(
            limits=httpx.Limits(max_connections=None),
            follow_redirects=False,  # the key would go along
            **limited_bodies(httpx.AsyncByteStream, settings.max_response_bytes),
        ),
    )
    send_only(sdk, settings.further_headers())
    raises = (together.TogetherError, httpx.HTTPError)
    return OpenAIForm(settings.kind, sdk, body, together.APIStatusError, raises, settings.stream, notes=notes)
