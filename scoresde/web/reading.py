"""Reading the body of a request."""

import asyncio
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
