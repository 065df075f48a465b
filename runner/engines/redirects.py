"""Redirects, which nothing follows: the key would go along, and a request may be sent on without its body."""

from __future__ import annotations

import re
from urllib.parse import urljoin, urlsplit, urlunsplit

from runner.errors import EngineError

_FIRST, _AFTER = 300, 400
_USER = re.compile(r"//[^/\s]*@")
_QUERY = re.compile(r"[?#].*", re.DOTALL)


def is_redirect(status: int) -> bool:
    """Tell whether a status says that the answer is elsewhere."""
    return _FIRST <= status < _AFTER


def redirect_error(status: int, asked: str, location: str | None, base_url: str) -> EngineError:
    """Return the error for an answer that names another address.

    Args:
        status: from 300 to 399.
        asked: the URL that was requested.
        location: the header that names the other one.
        base_url: what *asked* begins with, as the settings have it.
    """
    here = _plain(asked)
    if not location:
        told = (
            f"{here} answers with a redirect that names no address; set engine.base_url to the server's own"
        )
        return EngineError(told, status)
    there = _plain(_joined(asked, location.strip()))
    if there == here:
        told = f"{here} redirects to itself, with another query or a slash at its end"
        return EngineError(f"{told}; set engine.base_url to an address that answers without one", status)
    route = here.removeprefix(_plain(base_url))
    if route != here and there.endswith(route):
        base = there.removesuffix(route)
        return EngineError(f"{here} redirects to {there}; set engine.base_url={base}", status)
    told = f"{here} redirects to {there}, and redirects are not followed"
    return EngineError(f"{told}; set engine.base_url to an address that answers without one", status)


def _joined(asked: str, location: str) -> str:
    """Return the URL that a header names, which may be none that can be read."""
    try:
        return urljoin(asked, location)
    except ValueError:
        return location


def _plain(url: str) -> str:
    """Return a URL without user, password, query and fragment, any of which may hold a key."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return _QUERY.sub("", _USER.sub("//", url))
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))
