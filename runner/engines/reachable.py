"""Whether a server can be at an address: told within seconds, before a run is begun."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable
from threading import Thread
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

CONNECT_SECONDS = 3.0
"""Time for all addresses together, which are tried at once."""

_PORTS = {"http": 80, "https": 443}
_UNKNOWN = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})


def unreachable(urls: Iterable[str], seconds: float = CONNECT_SECONDS) -> dict[str, str]:
    """Return those of *urls* at which no server can be, and why.

    Only a refused connection and an unknown host tell that. What takes longer may be a slow network, and
    what is asked through a proxy of the environment's is the proxy's affair.
    """
    addresses = {url: _address(url) for url in urls if not _proxied(url)}
    found: dict[tuple[str, int], str] = {}
    # Threads that may be left behind: nothing bounds the time that a name takes to be looked up.
    tries = [
        Thread(target=_try, args=(address, seconds, found), daemon=True)
        for address in dict.fromkeys(addresses.values())
    ]
    for one in tries:
        one.start()
    deadline = time.monotonic() + seconds
    for one in tries:
        one.join(max(0.0, deadline - time.monotonic()))
    told = dict(found)
    return {url: told[address] for url, address in addresses.items() if address in told}


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or _PORTS[parts.scheme]


def _proxied(url: str) -> bool:
    parts, proxies = urlsplit(url), getproxies()
    return bool({parts.scheme, "all"} & proxies.keys()) and not proxy_bypass(parts.netloc)


def _try(address: tuple[str, int], seconds: float, found: dict[tuple[str, int], str]) -> None:
    """Connect; where that tells that no server is there, keep why in *found*."""
    host, port = address
    try:
        socket.create_connection(address, seconds, all_errors=True).close()
    except socket.gaierror as error:
        if error.errno in _UNKNOWN:
            found[address] = f"no host is known by the name {host}"
    except UnicodeError:
        found[address] = f"{host} can't be the name of a host"
    except ExceptionGroup as errors:
        refused, others = errors.split(ConnectionRefusedError)
        if refused is not None and (others is None or others.subgroup(TimeoutError) is None):
            found[address] = f"port {port} of {host} refuses connections"
