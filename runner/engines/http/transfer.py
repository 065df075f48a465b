"""One request on its way: a libcurl handle, used again and again, and what it has received."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pycurl

from runner.engines.http.errors import HttpError, http_error
from runner.engines.http.values import HttpResponse

if TYPE_CHECKING:
    from runner.engines.http.settings import Settings
    from runner.engines.http.values import Headers
