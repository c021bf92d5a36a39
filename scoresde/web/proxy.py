"""What a proxy before the page changes: the address at which others see it, and who sent a request."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from ..core.errors import UsageError


def public_address(text: str) -> str:
    """The address at which others see the page, in lower case and with a slash at the end; "" stays "".

    Args:
        text: Such as "https://demo.example.org/scoresde".

    Raises:
        UsageError: It is no such address.
    """
    if not text:
        return ""
    try:
        found = urlsplit(text)
        good = found.scheme in ("http", "https") and found.hostname and (found.port is None or found.port)
    except ValueError:
        good = False
    if not good or found.username or found.query or found.fragment:
        raise UsageError(f"--public is an address such as https://demo.example.org/scoresde, got {text!r}")
    standard = {"http": ":80", "https": ":443"}[found.scheme]
    return f"{found.scheme}://{found.netloc.lower().removesuffix(standard)}{found.path.rstrip('/')}/"


def sender(scope: Mapping[str, Any]) -> str:
    """Who sent a request that came through a proxy: the last of those that it names, which it wrote itself.

    Args:
        scope: Of the request, as ASGI has it.
    """
    named = [value.decode("latin-1") for key, value in scope["headers"] if key.lower() == b"x-forwarded-for"]
    peer = scope.get("client") or ("", 0)
    return named[-1].rpartition(",")[2].strip() if named else str(peer[0])
