"""The addresses of the catalogue."""

from dataclasses import asdict
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import Response, StreamingResponse
from starlette.concurrency import run_in_threadpool

from ..core.options import Options
from . import uploads
from .archive import archive
from .catalogue import Catalogue
from .entries import CatalogueEntry
from .exporting import enlarged
from .reading import from_base64, table


def serve_catalogue(app: FastAPI, catalogue: Catalogue) -> None:
    """Adds the addresses of the catalogue.

    Args:
        app: The application, which is changed in place.
        catalogue: The catalogue.
    """

    @app.get("/api/catalogue")
    def page(order: Any = "newest", offset: int = 0, limit: int = 50, query: str = "", seed: int = 0) -> dict[str, Any]:
        entries, total = catalogue.page(order, offset, limit, query, seed)
        return {"entries": [asdict(entry) for entry in entries], "total": total}

    @app.get("/api/catalogue.zip")
    def everything() -> Response:
        headers = {"content-disposition": 'attachment; filename="pictures.zip"'}
        return StreamingResponse(archive(catalogue), media_type="application/zip", headers=headers)

    @app.get("/api/catalogue/{number}.png")
    def image(number: int, large: bool = False) -> Response:
        png = catalogue.image(number)
        return Response(enlarged(png) if large else png, media_type="image/png", headers={"cache-control": "no-cache"})

    @app.get("/api/catalogue/{number}")
    def one(number: int) -> dict[str, Any]:
        return asdict(catalogue.entry(number))

    @app.post("/api/catalogue")
    async def save(request: Request) -> dict[str, Any]:
        asked = Keep(**await table(request))

        def kept() -> CatalogueEntry:
            pixels = uploads.decode(from_base64("picture", asked.picture))
            return catalogue.save(asked.caption, uploads.png(pixels), asked.parameters)

        return asdict(await run_in_threadpool(kept))

    @app.patch("/api/catalogue/{number}")
    async def rename(number: int, request: Request) -> dict[str, Any]:
        caption = Name(**await table(request)).caption
        return asdict(await run_in_threadpool(catalogue.rename, number, caption))

    @app.delete("/api/catalogue/{number}")
    def delete(number: int) -> dict[str, Any]:
        catalogue.delete(number)
        return {"deleted": number}

    @app.post("/api/catalogue/{number}/restore")
    def restore(number: int) -> dict[str, Any]:
        catalogue.restore(number)
        return {"restored": number}


class Name(Options):
    """A caption."""

    caption: str


class Keep(Name):
    """A picture to be kept."""

    picture: str
    parameters: dict[str, Any] = {}
