"""Starts vLLM in this process: its asynchronous engine, and its own API on top."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

# Before vLLM is imported: it reads it once.
os.environ.setdefault("VLLM_WORKER_MULTIPROC_METHOD", "spawn")

from vllm.entrypoints.launchers.api_server.app_state import init_app_state
from vllm.entrypoints.launchers.api_server.entry import build_async_engine_client
from vllm.entrypoints.launchers.app import build_app
from vllm.entrypoints.launchers.cli_args import make_arg_parser, validate_parsed_serve_args
from vllm.utils.argparse_utils import FlexibleArgumentParser

from runner.engines.asgi import App
from runner.engines.offline_engine import starting, strict
from runner.errors import EngineStartError


@dataclass(slots=True)
class _NoServer:
    """Stands where the API looks for its server, which it tells to end when the engine is gone."""

    should_exit: bool = False


@dataclass(frozen=True, slots=True)
class VllmRunning:
    """vLLM, started."""

    app: App
    client: Any

    @property
    def gone(self) -> str | None:
        """Why it can't answer any more."""
        return "its engine process has ended; see above in this log" if self.client.errored else None


def _arguments(words: Sequence[str]) -> Any:
    found = strict("vllm", make_arg_parser(FlexibleArgumentParser(prog="vllm serve"))).parse_args(list(words))
    try:
        validate_parsed_serve_args(found)
    except (TypeError, ValueError) as error:
        raise EngineStartError(f"vllm refuses its arguments: {error}") from error
    found.model = found.model_tag  # as `vllm serve` itself does
    return found


@asynccontextmanager
async def opened(words: Sequence[str]) -> AsyncIterator[VllmRunning]:
    """Start the engine that a command line of `vllm serve` describes.

    Raises:
        EngineStartError: it refuses the arguments, or can't start.
    """
    arguments = _arguments(words)
    # The engine and not `vllm.LLM`: requests join those under way, stream, and can be aborted.
    async with starting("vllm", build_async_engine_client(arguments)) as client:
        tasks = await client.get_supported_tasks()
        app = build_app(arguments, tasks, client.model_config)
        await init_app_state(client, app.state, arguments, tasks)
        app.state.server = _NoServer()
        yield VllmRunning(app, client)
