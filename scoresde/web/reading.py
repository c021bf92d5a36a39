"""Reading what a request holds."""

import asyncio
import base64
import binascii
import json
from typing import Any

from fastapi import Request
from starlette.exceptions import HTTPException

from ..core.errors import UsageError

SLOWEST = 20.0
"""Seconds in which a request has to arrive."""


async def content(request: Request) -> bytes:
    """The body of a request.

    Args:
        request: The request.

    Raises:
        HTTPException: It did not arrive in time.
    """
    try:
        async with asyncio.timeout(SLOWEST):
            return await request.body()
    except TimeoutError:
        raise HTTPException(408, f"the request did not arrive within {SLOWEST:g} seconds") from None


async def table(request: Request) -> dict[str, Any]:
    """The JSON object in the body of a request.

    Args:
        request: The request.

    Raises:
        UsageError: The body is not a JSON object.
    """
    try:
        value = json.loads(await content(request))
    except (ValueError, RecursionError):
        raise UsageError("a request holds a JSON object, and this one is not JSON") from None
    if not isinstance(value, dict):
        raise UsageError("a request holds a JSON object")
    return value


def from_base64(name: str, text: str) -> bytes:
    """The bytes of a text in base64.

    Args:
        name: What the text is, for the message.
        text: The text.

    Raises:
        UsageError: It is not base64.
    """
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise UsageError(f"the {name} is not written in base64") from None
