"""The addresses that use a model: its description, pictures made to fit it, and pictures drawn by it."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import Response, StreamingResponse
from sklearn.datasets import load_sample_image
from starlette.concurrency import run_in_threadpool

from .. import __version__
from ..conditioners import conditioners
from ..core.errors import UsageError
from ..images import pictures
from ..posterior import tasks as restoration
from ..solvers import solvers
from . import encoding, requests, schema, tasks, uploads
from .jobs import Job, JobQueue, Work
from .reading import content, table


def serve_drawing(app: FastAPI, models: Sequence[tasks.Served], queue: JobQueue) -> None:
    """Adds all addresses that use a model.

    Args:
        app: The application, which is changed in place.
        models: The models of the page.
        queue: Where the work waits.
    """
    served = {each.name: each for each in models}

    def model(name: str) -> tasks.Served:
        if name not in served:
            raise UsageError(f"no model is called {name!r} here; there are {', '.join(served)}")
        return served[name]

    @app.get("/api/about")
    def about() -> dict[str, Any]:
        return {
            "version": __version__,
            "models": [each.description for each in served.values()],
            "solvers": [
                {**schema.form(cls), "stochastic": cls.stochastic, "adaptive": cls.adaptive}
                for cls in solvers.all().values()
            ],
            "conditioners": [schema.form(conditioners[name]) for name in requests.offered()],
            "defaults": {
                "generate": requests.QUICK,
                "restore": {"name": restoration.SOLVER, "steps": restoration.STEPS},
                "reference": tasks.REFERENCE,
            },
            "most_pictures": requests.MOST_PICTURES,
        }

    @app.get("/api/example.png")
    def example() -> Response:
        return Response(uploads.png(load_sample_image("flower.jpg")[60:300, 150:470]), media_type="image/png")

    @app.post("/api/fit")
    async def fit(request: Request, model_name: str = "", grey: bool = False) -> dict[str, Any]:
        channels, height, width = model(model_name).model.shape
        data = await content(request)

        def fitted() -> dict[str, Any]:
            picture = encoding.picture_of(uploads.decode(data))
            done = pictures.fit(picture.size, height, width)
            cut = done.picture(picture.convert("L" if channels == 1 else "RGB"))
            return {"picture": encoding.png(cut), "grey": encoding.png(cut.convert("L")), "note": str(done)}

        return await run_in_threadpool(fitted)

    def route(name: str, kind: type[requests.Request], task: Callable[[tasks.Served, Any], Work]) -> None:
        @app.post(f"/api/{name}", name=name)
        async def draw(request: Request) -> Response:
            asked = kind(**await table(request))
            work = await run_in_threadpool(task, model(asked.model), asked)
            return StreamingResponse(
                events(queue, queue.submit(work), request),
                media_type="text/event-stream",
                headers={"x-accel-buffering": "no"},
            )

    route("generate", requests.Generate, tasks.generate)
    route("inpaint", requests.Inpaint, tasks.inpaint)
    route("colourise", requests.Colourise, tasks.colourise)
    route("race", requests.Race, tasks.race)


async def events(queue: JobQueue, job: Job, request: Request) -> AsyncIterator[str]:
    """The events of a job as text. If the reader disconnects, the job is cancelled.

    Args:
        queue: The queue of the job.
        job: The job.
        request: The request of the reader.
    """

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        queue.leave(job)

    watcher = asyncio.create_task(gone())
    try:
        async for event, data in job.events():
            yield f"event: {event}\ndata: {json.dumps(data)}\n\n"
    finally:
        watcher.cancel()
        queue.leave(job)
