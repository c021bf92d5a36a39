"""Checks of what the catalogue takes in: captions, parameters and pictures."""

import json
import struct
import unicodedata
from typing import Any

from ..core.errors import DataError, UsageError

LONGEST = 500
"""Characters of the longest caption."""
MOST_PARAMETERS = 50_000
"""Characters of the longest parameters, as JSON."""


def tidy(caption: str) -> str:
    """A caption on one line: white space and control characters become single spaces, lone surrogates become �.

    Args:
        caption: Any text.

    Raises:
        UsageError: It is longer than a caption may be.
    """
    text = " ".join(caption.split())
    if len(text) > LONGEST:
        raise UsageError(f"the caption has {len(text):,} characters, and at most {LONGEST} are kept: shorten it")
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return " ".join("".join(" " if unicodedata.category(c) == "Cc" else c for c in text).split())


def written(parameters: dict[str, Any]) -> str:
    """Parameters as JSON that any reader accepts: without NaN, infinities and lone surrogates.

    Args:
        parameters: Values for JSON.

    Raises:
        UsageError: They have values that JSON has not, or are too long.
    """
    try:
        text = json.dumps(parameters, allow_nan=False, ensure_ascii=False)
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"the parameters of a picture must be values that JSON has: {error}") from None
    if len(text) > MOST_PARAMETERS:
        raise UsageError(
            f"the parameters of a picture have {len(text):,} characters, and at most {MOST_PARAMETERS:,} are kept"
        )
    return text


def size(png: bytes) -> tuple[int, int]:
    """Width and height of a PNG, by its header.

    Args:
        png: The bytes of the file.

    Raises:
        DataError: It is not a PNG.
    """
    if len(png) < 33 or png[:8] != b"\x89PNG\r\n\x1a\n" or png[12:16] != b"IHDR":
        raise DataError("the catalogue keeps PNG pictures, and this is none")
    width, height = struct.unpack(">II", png[16:24])
    return width, height
