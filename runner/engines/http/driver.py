"""libcurl's multi interface on an asyncio event loop."""

from __future__ import annotations

import asyncio
import select
from typing import TYPE_CHECKING, Any

import pycurl

from runner.engines.http.errors import CLOSED

if TYPE_CHECKING:
    from runner.engines.http.transfer import Fault, Transfer

IDLE_CONNECTIONS = 10_000
_ONCE = select.EPOLLONESHOT
_EPOLL = {
    pycurl.POLL_IN: select.EPOLLIN | _ONCE,
    pycurl.POLL_OUT: select.EPOLLOUT | _ONCE,
    pycurl.POLL_INOUT: select.EPOLLIN | select.EPOLLOUT | _ONCE,
}


def _selected(events: int) -> int:
    """The same events in the words of libcurl."""
    broken = events & (select.EPOLLERR | select.EPOLLHUP)
    return (
        (pycurl.CSELECT_IN if events & select.EPOLLIN else 0)
        | (pycurl.CSELECT_OUT if events & select.EPOLLOUT else 0)
        | (pycurl.CSELECT_ERR if broken else 0)
    )


_SELECTED = tuple(_selected(events) for events in range(32))


class Driver:
    """Runs transfers on the running event loop, until closed.

    libcurl's sockets live in an epoll set of their own, and the loop watches that one
    descriptor. Adding and removing a reader of the loop for every request, and one callback for
    every ready socket, costs half as much again as the rest of the request. A socket is armed for one
    event: most transfers end with it, and what is no longer watched then needs no system call.

    Attributes:
        loop: the event loop.
    """

    def __init__(self, connections: int) -> None:
        self.loop = asyncio.get_running_loop()
        self._running: dict[pycurl.Curl, Transfer] = {}
        self._watched: dict[int, int] = {}
        """What each socket is armed for; below 0 once that came, until it is armed again."""
        self._due: float | None = None
        self._timer: asyncio.Handle | None = None
        self._rings = 0.0  # when; uvloop's handle of a timer that is due now doesn't say
        self._kick: asyncio.Handle | None = None
        self._epoll = select.epoll()
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._set_timer)
        self._multi.setopt(pycurl.M_MAXCONNECTS, connections or IDLE_CONNECTIONS)
        self.loop.add_reader(self._epoll.fileno(), self._on_ready)

    def start(self, transfer: Transfer) -> None:
        """Starts *transfer*; it is settled once, unless it is stopped before."""
        self._multi.add_handle(transfer.curl)
        self._running[transfer.curl] = transfer

    def stop(self, transfer: Transfer) -> None:
        """Takes *transfer* off its connection, which is closed if an answer was under way."""
        if self._running.pop(transfer.curl, None) is not None:
            self._multi.remove_handle(transfer.curl)

    def close(self) -> None:
        """Settles what still runs as closed, and closes every connection."""
        self._settle_all(CLOSED)
        self.loop.remove_reader(self._epoll.fileno())
        self._multi.close()
        self._epoll.close()
        for handle in (self._timer, self._kick):
            if handle is not None:
                handle.cancel()

    def _watch(self, what: int, fd: int, _multi: pycurl.CurlMulti, _data: Any) -> None:
        events = _EPOLL.get(what)
        if events is None:
            self._watched.pop(fd, None)
        else:
            self._arm(fd, events)

    def _arm(self, fd: int, events: int) -> None:
        self._watched[fd] = events
        try:
            self._epoll.modify(fd, events)
        except FileNotFoundError:  # it is new, or another one had its number before
            self._epoll.register(fd, events)

    def _on_ready(self) -> None:
        action, watched = self._multi.socket_action, self._watched
        try:
            for fd, events in self._epoll.poll(0):
                armed = watched.get(fd)
                if armed is None:  # armed by a transfer that ended without it
                    continue
                watched[fd] = -armed
                action(fd, _SELECTED[events])
                if watched.get(fd, 0) < 0:
                    self._arm(fd, armed)
        except pycurl.error as error:
            self._abort(error)
        self._settle_done()

    def _set_timer(self, milliseconds: int) -> None:
        """Notes when libcurl wants to be called without a socket being ready.

        A timer that stands too early is left alone and looks again when it fires: with every
        request the due time moves, nearly always back.
        """
        if milliseconds == 0:
            if self._kick is None:
                self._kick = self.loop.call_soon(self._on_kick)
        elif milliseconds < 0:
            self._due = None
        else:
            self._due = self.loop.time() + milliseconds / 1000
            if self._timer is None or self._due < self._rings:
                if self._timer is not None:
                    self._timer.cancel()
                self._ring(self._due)

    def _ring(self, due: float) -> None:
        self._rings = due
        self._timer = self.loop.call_at(due, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if self._due is None:
            return
        if self.loop.time() < self._due:
            self._ring(self._due)
        else:
            self._due = None
            self._on_due()

    def _on_kick(self) -> None:
        self._kick = None
        self._on_due()

    def _on_due(self) -> None:
        try:
            self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        except pycurl.error as error:
            self._abort(error)
        self._settle_done()

    def _settle_done(self) -> None:
        _, complete, failed = self._multi.info_read()
        for curl in complete:
            self._settle(curl, None)
        for curl, code, reason in failed:
            self._settle(curl, (code, reason))

    def _settle(self, curl: pycurl.Curl, fault: Fault | None) -> None:
        transfer = self._running.pop(curl)
        self._multi.remove_handle(curl)
        transfer.settle(fault)

    def _abort(self, error: pycurl.error) -> None:
        """The multi handle itself gave up, so no transfer would ever be reported as done."""
        self._settle_all((pycurl.E_FAILED_INIT, f"libcurl failed: {error}"))

    def _settle_all(self, fault: Fault) -> None:
        for curl in tuple(self._running):
            self._settle(curl, fault)
