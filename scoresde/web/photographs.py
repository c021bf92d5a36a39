"""The addresses for pictures that are given: photographs, examples, and how long something takes with them."""

from collections.abc import Callable
from typing import Any, Literal

from fastapi import FastAPI, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from ..core.errors import UsageError
from . import encoding, examples, uploads
from .estimates import Estimates
from .jobs import rounded
from .reading import content, table
from .tabs import Served, tabs

SIDES = (0, 96)
"""Sizes in which an example is shown: as it is, and as it is on a button."""


def serve_photographs(app: FastAPI, model: Callable[[str], Served], estimates: Estimates) -> None:
    """Adds the addresses for pictures that are given.

    Args:
        app: The application, which is changed in place.
        model: The model of a name.
        estimates: How long drawings took.
    """

    @app.get("/api/examples/{name}.{what}.png")
    def example(name: str, what: Literal["picture", "hole"], side: int = 0) -> Response:
        if name not in examples.EXAMPLES or side not in SIDES:
            sizes = " or ".join(map(str, SIDES))
            raise UsageError(f"there are the examples {', '.join(examples.EXAMPLES)}, of the side {sizes}")
        picture = encoding.png_bytes(examples.shown(name, what, side))
        return Response(picture, media_type="image/png", headers={"cache-control": "max-age=3600"})

    @app.post("/api/fit")
    async def fit(request: Request, model_name: str = "", grey: bool = False) -> dict[str, Any]:
        channels, *_ = model(model_name).shape
        data = await content(request)

        def fitted() -> dict[str, Any]:
            picture = encoding.picture_of(uploads.decode(data))
            flat = picture.convert("L") if channels == 1 else picture
            found = {"picture": encoding.png(flat), "size": list(flat.size)}
            return found | ({"grey": encoding.png(flat.convert("L"))} if grey else {})

        return await run_in_threadpool(fitted)

    @app.post("/api/estimate")
    async def estimate(request: Request) -> dict[str, Any]:
        body = await table(request)
        name = str(body.pop("task", ""))
        if name not in tabs.all():
            raise UsageError(f"task is one of {', '.join(tabs.all())}, got {name!r}")
        left_out = {key: "" for key in ("picture", "mask") if key in tabs[name].model_fields}
        asked = tabs[name](**left_out | body)
        return {"seconds": rounded(estimates.seconds(asked.kind, asked.effort, model(asked.model).pace))}
