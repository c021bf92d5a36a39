"""The access policy of the page: hosts, origins, the token, sizes, and the headers of every answer."""

import asyncio
import contextlib
import hmac
import ipaddress
import json
import socket
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import urlsplit

from .proxy import sender

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LARGEST = 10_000_000
"""Bytes of the largest request."""
LINGER = 1.0
"""Seconds for which the body of a refused request is still received, and dropped."""
KINDS = ("application/json", "application/octet-stream")
"""What a request may hold; neither can be sent by a form of another site."""
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(self), microphone=(), geolocation=()",
    "cache-control": "no-store",
}


def loopback(host: str) -> bool:
    """Whether an address to listen at is reachable from this machine alone.

    Args:
        host: The address.
    """
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def wildcard(host: str) -> bool:
    """Whether an address to listen at means all addresses of the machine.

    Args:
        host: The address.
    """
    return host in ("0.0.0.0", "::", "[::]", "")


def reachable(host: str) -> str:
    """The address at which others reach this server; for all addresses, the one from which packets leave.

    Args:
        host: The address to listen at.
    """
    if not wildcard(host):
        return host
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # nothing is sent, and nobody has this address (RFC 5737)
        except OSError:
            return socket.gethostname()
        return str(probe.getsockname()[0])


@dataclass(frozen=True)
class AccessPolicy:
    """Which requests are accepted."""

    host: str
    """Address at which the page listens."""
    port: int
    """Port at which it listens."""
    token: str
    """The secret that a request must have."""
    public: str = ""
    """The address at which others see the page, if a proxy stands before it, as `public_address` writes it."""

    @property
    def free(self) -> bool:
        """Whether whoever can reach the page gets the token with it: only this machine can."""
        return loopback(self.host) and not self.public

    @property
    def cookie(self) -> str:
        """Name of the cookie with the token; cookies are shared by all ports of a host."""
        return f"scoresde-{self.port}"

    def admits(self, host: str) -> bool:
        """Whether the Host of a request is ours. A foreign name that resolves to this machine (DNS rebinding) is not.

        Args:
            host: The header Host.
        """
        if host.lower() == urlsplit(self.public).netloc != "":
            return True
        name, colon, port = host.rpartition(":")
        if not colon or not port.isdecimal():
            name, port = host, "80"
        if port != str(self.port):
            return False
        name = name.strip("[]").lower()
        if wildcard(self.host):  # an address cannot be forged by DNS
            return name in ("localhost", socket.gethostname().lower()) or _address(name)
        if loopback(self.host):
            return name == "localhost" or (_address(name) and loopback(name))
        return name == self.host.strip("[]").lower()

    def ours(self, origin: str | None, host: str) -> bool:
        """Whether a request comes from the page itself.

        Args:
            origin: The header Origin.
            host: The header Host, which a proxy may have replaced.
        """
        outside = urlsplit(self.public)
        direct = host.lower() != outside.netloc and origin == f"http://{host}"
        return direct or bool(self.public) and origin == f"{outside.scheme}://{outside.netloc}"

    def opened(self, headers: MutableMapping[str, str]) -> bool:
        """Whether a request has the token, in the cookie or as `Authorization: Bearer`.

        Args:
            headers: The headers of the request, with names in lower case.
        """
        given = headers.get("authorization", "").removeprefix("Bearer ")
        if not given:
            try:
                morsel = SimpleCookie(headers.get("cookie", "")).get(self.cookie)
            except CookieError:
                return False
            given = morsel.value if morsel else ""
        return hmac.compare_digest(given.encode(), self.token.encode())


def _address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


class Guarded:
    """An application behind an access policy: a request that is refused never reaches it.

    Args:
        app: The application.
        policy: The access policy.
    """

    def __init__(self, app: App, policy: AccessPolicy) -> None:
        self.app, self.policy = app, policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        if scope["type"] != "http":
            return await send({"type": "websocket.close", "code": 1008})
        refused = self._refused(scope)
        if refused:
            return await _answer(receive, send, *refused)
        if self.policy.public:
            scope["client"] = (sender(scope), 0)

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*_missing(message["headers"]), *message["headers"]]
            await send(message)

        return await self.app(scope, receive, with_headers)

    def _refused(self, scope: Scope) -> tuple[int, str] | None:
        pairs = [(key.decode("latin-1").lower(), value.decode("latin-1")) for key, value in scope["headers"]]
        headers, method = dict(pairs), scope["method"]
        if sum(key == "host" for key, _ in pairs) != 1 or not self.policy.admits(headers["host"]):
            return 403, "this page answers only at the address that scoresde web printed"
        if not scope["path"].startswith("/api/"):
            return None if method in ("GET", "HEAD") else (405, "pages can only be read")
        if not self.policy.opened(headers):
            return 401, "open the page by the link that scoresde web printed: it holds the key"
        if method in ("GET", "HEAD"):
            return None
        origin, bearer = headers.get("origin"), "authorization" in headers
        if not self.policy.ours(origin, headers["host"]) and not (bearer and origin is None):
            return 403, "this request comes from another page"
        if method == "DELETE":
            return None
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in KINDS:
            return 415, f"a request holds {' or '.join(KINDS)}"
        length = headers.get("content-length", "")
        if not length.isdecimal() or "transfer-encoding" in headers:  # that would count for more than the length
            return 411, "a request says how long it is, by Content-Length"
        if int(length) > LARGEST:
            return 413, f"a request has at most {LARGEST // 1_000_000} MB, and this one {int(length) / 1e6:.1f} MB"
        return None


def _missing(there: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    given = {key.lower() for key, _ in there}
    return [(key.encode(), value.encode()) for key, value in HEADERS.items() if key.encode() not in given]


async def _answer(receive: Receive, send: Send, status: int, sentence: str) -> None:
    """One sentence. A connection whose request is too long, or of unknown length, is closed after it."""
    close = {"connection": "close"} if status in (411, 413) else {}
    body = json.dumps({"error": sentence}).encode()
    kind = {"content-type": "application/json", "content-length": str(len(body))}
    headers = [(key.encode(), value.encode()) for key, value in (HEADERS | kind | close).items()]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": bool(close)})
    if close:  # a connection closed while the other side still writes would take the sentence with it
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER):
                left = LARGEST
                while left > 0 and (message := await receive()).get("more_body"):
                    left -= len(message.get("body", b""))
        await send({"type": "http.response.body"})
