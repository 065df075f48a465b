"""Asks through OpenAI's SDK."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx2
import openai

from runner.engines.notes import SILENT, Notes
from runner.engines.openai_form import OpenAIForm
from runner.engines.sdk import CONNECT_SECONDS, ProviderSettings, send_only
from runner.engines.sdk_bodies import limited_bodies
from runner.values import Request


def openai_client(
    settings: ProviderSettings, address: str, body: Callable[[Request], dict[str, Any]], notes: Notes = SILENT
) -> OpenAIForm:
    """Return a client of OpenAI's SDK that asks *address*, whatever the environment says."""
    sdk = openai.AsyncOpenAI(
        api_key=settings.api_key(),
        base_url=address,
        default_headers=settings.further_headers(),
        max_retries=0,
        timeout=httpx2.Timeout(None, connect=CONNECT_SECONDS),
        http_client=openai.DefaultAsyncHttpxClient(
            limits=httpx2.Limits(max_connections=None),
            follow_redirects=False,  # the key would go along
            **limited_bodies(httpx2.AsyncByteStream, settings.max_response_bytes),
        ),
    )
    send_only(sdk, settings.further_headers())
    sdk.organization = sdk.project = None  # these too it takes from the environment
    raises = (openai.OpenAIError, httpx2.HTTPError)
    pieces = {"stream_options": {"include_usage": True}}
    return OpenAIForm(settings.kind, sdk, body, openai.APIStatusError, raises, settings.stream, pieces, notes)
