"""An engine of somebody's own: it answers with the question in capitals."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from types import TracebackType
from typing import Literal, Self

from runner.engines.base import EngineContext, EngineKind
from runner.engines.capabilities import Capabilities, parameters
from runner.engines.chunks import Chunk
from runner.spec import EngineSettings, Model
from runner.values import Choice, Request, Response


class Shout(EngineSettings):
    """Capitals."""

    kind: Literal["shout"] = "shout"
    """Answers in capitals."""
    ending: str = "!"
    """What every answer ends in."""


class ShoutEngine:
    """The engine of kind ``shout``."""

    version: str | None = "1.2.3"

    def __init__(self, settings: EngineSettings, model: Model, context: EngineContext) -> None:
        del model, context
        assert isinstance(settings, Shout)
        self._ending = settings.ending

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    async def generate(self, request: Request) -> Response:
        text = str(request.messages[-1]["content"]).upper() + self._ending
        return Response(choices=(Choice(text, "stop"),), engine="shout", engine_version=self.version)

    async def stream(self, request: Request) -> AsyncGenerator[Chunk | Response]:
        yield await self.generate(request)


KIND = EngineKind(
    settings=Shout,
    capabilities=Capabilities(tasks=frozenset({"chat"}), sampling=parameters("temperature", "max_tokens")),
    factory="shout:ShoutEngine",
    summary="answers in capitals",
    distribution="shout",
)
