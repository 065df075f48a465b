"""Has a server give its GPUs' memory back for a while, without ending it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from runner.engines.http import Headers, HttpClient, HttpError
from runner.engines.provider_errors import reported
from runner.engines.served import ServerSettings
from runner.engines.served_engine import ServedEngine
from runner.errors import EngineError
from runner.secrets import Secrets

_OK = 200


@dataclass(frozen=True, slots=True)
class _Paths:
    """What a kind of server calls it.

    Attributes:
        sleep: level -> path.
        started: what such a server must have been started with.
    """

    sleep: Mapping[int, str]
    wake_up: str
    started: str


SLEEPERS: Mapping[str, _Paths] = MappingProxyType({
    "vllm": _Paths(
        sleep=MappingProxyType({1: "/sleep?level=1", 2: "/sleep?level=2"}),
        wake_up="/wake_up",
        started="args: {enable-sleep-mode: true} and env: {VLLM_SERVER_DEV_MODE: '1'}",
    ),
    "sglang": _Paths(
        sleep=MappingProxyType({1: "/release_memory_occupation"}),
        wake_up="/resume_memory_occupation",
        started="args: {enable-memory-saver: true}",
    ),
})
"""By engine kind."""


class Sleeper:
    """A server that can sleep."""

    def __init__(self, settings: ServerSettings, engine: ServedEngine) -> None:
        self._paths = SLEEPERS[settings.kind]
        self._settings = settings
        self._address = engine.address

    async def sleep(self, level: int) -> None:
        """Free the memory; from level 2 on the weights are gone too.

        Raises:
            EngineError: the server doesn't do it.
        """
        await self._post(self._paths.sleep[level])

    async def wake_up(self) -> None:
        """Take the memory again; raises as `sleep` does."""
        await self._post(self._paths.wake_up)

    async def _post(self, path: str) -> None:
        settings = self._settings
        own = settings.headers() if settings.base_url is not None else []
        headers = Headers(["Content-Type: application/json", *own])
        secrets = Secrets.of(settings.secret_names())
        try:
            client = HttpClient(
                proxy=settings.base_url is not None, max_response_bytes=settings.max_response_bytes
            )
            async with client:
                answer = await client.request(
                    "POST", self._address + path, headers=headers, body=b"{}", timeout=settings.timeout
                )
        except HttpError as error:
            raise EngineError(reported(str(error), secrets)) from error
        if answer.status != _OK:
            said = reported(answer.body.decode(errors="replace"), secrets)
            hint = f"{settings.kind} must be started with engine {self._paths.started}"
            raise EngineError(f"{path}: {said or 'refused'}; {hint}", answer.status)
