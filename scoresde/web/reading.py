"""What a request holds."""

import asyncio
import json
from typing import Any

from fastapi import Request
from starlette.exceptions import HTTPException

from ..core.errors import UsageError

SLOWEST = 20.0
"""Seconds in which a request has to arrive."""


async def content(request: Request) -> bytes:
    """What a request holds."""
    try:
        async with asyncio.timeout(SLOWEST):
            return await request.body()
    except TimeoutError:
        raise HTTPException(408, f"the request did not arrive within {SLOWEST:g} seconds") from None


async def table(request: Request) -> dict[str, Any]:
    """The JSON object that a request holds."""
    try:
        value = json.loads(await content(request))
    except (ValueError, RecursionError):
        raise UsageError("a request holds a JSON object, and this one is not JSON") from None
    if not isinstance(value, dict):
        raise UsageError("a request holds a JSON object")
    return value
