"""An address that lacks the /v1 under which its server has the API: the error says what to write."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus

from runner.engines.http import HttpError
from runner.errors import AskError, EngineError

_VERSION = "/v1"
_NO_ROUTE = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED})


class Versioned:
    """Finds out whether an address lacks its version, once, and only after the server lacked a path.

    *status* returns the status of a GET for an address.
    """

    def __init__(self, base_url: str, status: Callable[[str], Awaitable[int]]) -> None:
        self._base_url = base_url
        self._status = status
        self._lacking: bool | None = None

    async def check(self, error: BaseException) -> None:
        """Raise what to write, if that is why a request failed with *error*.

        Raises:
            EngineError: the address lacks /v1.
        """
        if not isinstance(error, AskError) or error.status not in _NO_ROUTE:
            return
        if self._lacking is None:
            self._lacking = await self._lacks_version()
        if self._lacking:
            right = f"{self._base_url}{_VERSION}"
            said = (
                f"{self._base_url} has no such path, and {right} has the API: write engine.base_url={right}"
            )
            raise EngineError(said, error.status) from error

    async def _lacks_version(self) -> bool:
        if self._base_url.endswith(_VERSION):
            return False
        try:
            status = await self._status(f"{self._base_url}{_VERSION}/models")
        except HttpError:
            return False
        # A server that wants a key for it has it.
        return status in {HTTPStatus.OK, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
