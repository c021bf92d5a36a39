"""The link that others open the page by, and its picture for the camera of a phone."""

import io

import segno
from fastapi import FastAPI
from fastapi.responses import Response
from starlette.exceptions import HTTPException


def serve_link(app: FastAPI, link: str) -> None:
    """Adds the addresses of the link.

    Args:
        app: The application, which is changed in place.
        link: The link with its key; "" if only this machine can open the page.
    """

    @app.get("/api/link")
    def say() -> dict[str, str]:
        return {"link": link}

    @app.get("/api/link.svg")
    def picture() -> Response:
        if not link:
            raise HTTPException(404)
        return Response(svg(link), media_type="image/svg+xml")


def svg(link: str) -> bytes:
    """A link as a QR code.

    Args:
        link: The link.
    """
    file = io.BytesIO()
    segno.make(link, micro=False, error="m").save(file, kind="svg", scale=6, light="white", xmldecl=False)
    return file.getvalue()


def blocks(link: str) -> str:
    """A link as a QR code for a terminal.

    Args:
        link: The link.
    """
    file = io.StringIO()
    segno.make(link, micro=False, error="l").terminal(file, compact=True)
    return file.getvalue()
