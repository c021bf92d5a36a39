"""The lines of a run's metrics.jsonl."""

import json
import math
from pathlib import Path
from typing import Any


def rounded(value: float) -> float | None:
    """A number for a line of metrics.jsonl; JSON knows none that is not finite."""
    return round(value, 6) if math.isfinite(value) else None


def rows(log: Path) -> list[dict[str, Any]]:
    """The lines of a metrics.jsonl, without one that was cut short by a kill."""
    found = []
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and "images" in row:
            found.append(row)
    return found
