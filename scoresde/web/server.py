"""The server of the application: the address at which it listens, and its time limits for slow clients."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import uvicorn
from starlette.concurrency import run_in_threadpool
from uvicorn.protocols.http.h11_impl import H11Protocol

from ..core.errors import ResourceError, UsageError
from .security import App

SLOWEST_HEAD = 10.0
"""Seconds in which the head of a request has to arrive."""
CONNECTIONS = 200
"""Connections at a time; further ones are answered with status 503."""


class Impatient(H11Protocol):
    """HTTP that closes a connection on which no request begins in time."""

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Starts the clock of a new connection.

        Args:
            transport: The connection.
        """
        super().connection_made(transport)
        self._late = self.loop.call_later(SLOWEST_HEAD, self._hang_up)

    def data_received(self, data: bytes) -> None:
        """Passes data on, and starts or stops the clock.

        Args:
            data: The bytes that have come.
        """
        if self._late is None and self._idle:
            self._late = self.loop.call_later(SLOWEST_HEAD, self._hang_up)
        super().data_received(data)
        if self._late and not self._idle:
            self._late.cancel()
            self._late = None

    @property
    def _idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _hang_up(self) -> None:
        self._late = None
        if self._idle:
            self.transport.close()


class Prompt(uvicorn.Server):
    """A server that first ends the work of its application when it is told to end.

    Args:
        config: The configuration.
        end: Ends the work; answers that wait for it are then complete.
    """

    def __init__(self, config: uvicorn.Config, end: Callable[[], object]) -> None:
        super().__init__(config)
        self._end = end

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Ends the work, then the connections.

        Args:
            sockets: The sockets at which it listens.
        """
        await run_in_threadpool(self._end)
        await super().shutdown(sockets)


def server(app: App, end: Callable[[], object] = lambda: None) -> uvicorn.Server:
    """The server of an application, on sockets that are given to its `run`.

    Args:
        app: The application.
        end: Called before it waits for the answers that are not complete.
    """
    return Prompt(
        uvicorn.Config(
            app,
            http=Impatient,
            ws="none",
            log_level="error",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=CONNECTIONS,
            timeout_graceful_shutdown=5,
        ),
        end,
    )


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens at an address. Who connects before the server runs waits for it.

    Args:
        host: The address.
        port: The port; 0 takes any that is free.

    Raises:
        UsageError: The host is no address of this machine.
        ResourceError: The port is taken.
    """
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        made = socket.socket(family, kind, protocol)
    except OSError as error:
        raise UsageError(f"--host {host} is no address: {error.strerror or error}") from None
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(CONNECTIONS)  # until then, another program may take the port, too
    except OSError as error:
        made.close()
        raise ResourceError(f"cannot listen at {host}:{port}: {error.strerror or error}; try --port 0") from None
    return made
