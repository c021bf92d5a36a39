"""The application: what each address answers."""

import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from urllib.parse import urlsplit

import torch
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from .. import models
from ..core.errors import ResourceError, ScoreSDEError, UsageError
from ..core.random import generators
from ..models.latent import data_shape
from ..observations.tasks import trained_task
from ..sampling.precision import Asked, inferring
from . import uploads
from .catalogue import Catalogue
from .drawing import serve_drawing
from .entries import MissingEntry
from .exporting import serve_exports
from .jobs import Full, JobQueue, unexpected
from .keeping import serve_catalogue
from .link import serve_link
from .security import AccessPolicy, Guarded, reachable
from .tabs import Served

READ = ["GET", "HEAD"]
TYPES = {"html": "text/html", "js": "text/javascript", "css": "text/css", "svg": "image/svg+xml", "png": "image/png"}


@dataclass(frozen=True)
class WebSettings:
    """What `scoresde web` serves, and where."""

    models: tuple[str, ...]
    """Runs, model folders, or names of bundled models."""
    catalogue: Path
    """File of the catalogue."""
    host: str = "127.0.0.1"
    """Address to listen at."""
    port: int = 8000
    """Port to listen at."""
    device: torch.device = torch.device("cpu")
    """Device of the models."""
    precision: Asked = "float32"
    """As for `inferring`."""
    compile: bool = False
    """Whether the networks are compiled."""
    waiting: int = 4
    """Jobs that may wait while one is worked on."""
    seconds: float = 300.0
    """How long a job may take."""
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    """The secret that opens the page."""
    public: str = ""
    """The address at which others see the page, if a proxy stands before it."""

    def queue(self) -> JobQueue:
        """Where the work waits. Where others can reach the page, half of the places are the most for one of them."""
        share = self.waiting if self.policy.free else (self.waiting + 1) // 2
        return JobQueue(self.waiting, self.seconds, share)

    @property
    def policy(self) -> AccessPolicy:
        """Which requests are accepted."""
        return AccessPolicy(self.host, self.port, self.token, self.public)

    @property
    def link(self) -> str:
        """Where the page is; from elsewhere than this machine, it takes the token."""
        name = reachable(self.host).strip("[]")
        name = f"[{name}]" if ":" in name else name
        return (self.public or f"http://{name}:{self.port}/") + ("" if self.policy.free else f"?token={self.token}")


def create_app(settings: WebSettings, queue: JobQueue | None = None) -> Guarded:
    """The page as an ASGI application. Models are loaded, and the catalogue is opened, before it returns.

    Args:
        settings: The models, the catalogue and the address.
        queue: Where the work waits; by default, one of the application's own.

    Raises:
        UsageError: A model does not exist, cannot be drawn, or is called like another.
        CheckpointError: A model is damaged.
        DataError: The catalogue is damaged.
    """
    uploads.decoder(uploads.STANDARD)
    served = [load(name, settings) for name in settings.models]
    names = [each.name for each in served]
    if twice := {name for name in names if names.count(name) > 1}:
        raise UsageError(f"two models are called {min(twice)!r}: give their folders different names")
    catalogue, line = Catalogue(settings.catalogue), queue or settings.queue()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(line.close)
        catalogue.close()

    app = FastAPI(title="scoresde", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    say_errors(app)
    serve_pages(app, settings)
    serve_drawing(app, served, line)
    serve_catalogue(app, catalogue)
    serve_link(app, "" if settings.policy.free else settings.link)
    serve_exports(app)
    return Guarded(app, settings.policy)


def load(name: str, settings: WebSettings) -> Served:
    """A model after a first evaluation, which takes longer than later ones, and a second, which is timed.

    Args:
        name: A run, a model folder, or the name of a bundled model.
        settings: Where and how it is evaluated.
    """
    folder = models.locate(name)
    model = inferring(models.load(folder, settings.device), settings.precision, settings.compile)
    if (channels := data_shape(model)[0]) not in (1, 3):
        raise UsageError(f"{name} makes images of {channels} channels; only 1 or 3 can be drawn")
    pace = 0.0
    if not trained_task(model).conditional:
        x = model.prior(generators([0]))
        t = torch.full((1,), model.sde.t_max, dtype=torch.float64, device=settings.device)
        with torch.no_grad():
            model.eps(x, t)
            began = time.perf_counter()
            float(model.eps(x, t).sum())  # waits for the device
            pace = time.perf_counter() - began
    return Served(folder.resolve().name, folder, model, pace)


def say_errors(app: FastAPI) -> None:
    """Makes every error of the application one sentence in {"error": ...}.

    Args:
        app: The application, which is changed in place.
    """

    def said(status: int, sentence: str, **headers: str) -> Response:
        return JSONResponse({"error": sentence}, status, headers)

    @app.exception_handler(ScoreSDEError)
    async def ours(request: Request, error: ScoreSDEError) -> Response:
        if isinstance(error, Full):
            return said(503, str(error), **{"retry-after": "5"})
        status = 404 if isinstance(error, MissingEntry) else 507 if isinstance(error, ResourceError) else 400
        return said(getattr(error, "status", status), str(error))

    @app.exception_handler(RequestValidationError)
    async def addressed(request: Request, error: RequestValidationError) -> Response:
        found = "; ".join(f"{e['loc'][-1]}: {str(e['msg']).lower()}" for e in error.errors())
        return said(400, f"this address has values that are not allowed: {found}")

    @app.exception_handler(HTTPException)
    async def theirs(request: Request, error: HTTPException) -> Response:
        return said(error.status_code, str(error.detail).lower())

    @app.exception_handler(Exception)
    async def nobodys(request: Request, error: Exception) -> Response:
        return said(500, unexpected(), connection="close")  # as the server does, once the error has come through


def serve_pages(app: FastAPI, settings: WebSettings) -> None:
    """Adds the page itself, from a fixed list of files.

    Args:
        app: The application, which is changed in place.
        settings: The token and the host.
    """
    folder = resources.files("scoresde.web") / "static"
    files = {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}

    def answer(name: str) -> Response:
        kind = TYPES[name.rpartition(".")[2]]
        return Response(files[name], media_type=kind, headers={"cache-control": "no-cache"})

    @app.api_route("/", methods=READ)
    async def index(token: str = "") -> Response:
        known = secrets.compare_digest(token.encode(), settings.token.encode())
        response = RedirectResponse("./", 303) if known else answer("index.html")
        if known or settings.policy.free:
            outside = urlsplit(settings.public)
            response.set_cookie(
                settings.policy.cookie,
                settings.token,
                path=outside.path or "/",
                secure=outside.scheme == "https",
                httponly=True,
                samesite="strict",
            )
        return response

    @app.api_route("/{name}", methods=READ)
    async def file(name: str) -> Response:
        if name not in files:
            raise HTTPException(404)
        return answer(name)
