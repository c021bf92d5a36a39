"""The addresses that use a model: its description, and pictures drawn by it."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import Response, StreamingResponse
from starlette.concurrency import run_in_threadpool

from .. import __version__
from ..conditioners import conditioners
from ..core.errors import UsageError
from ..models.classes import called
from ..solvers import solvers
from . import schema
from .estimates import Estimates
from .jobs import Job, JobQueue
from .photographs import serve_photographs
from .reading import table
from .tabs import Served, Tab, tabs
from .tabs.base import MOST_PICTURES
from .tabs.restore import offered


def serve_drawing(app: FastAPI, models: Sequence[Served], queue: JobQueue) -> None:
    """Adds all addresses that use a model.

    Args:
        app: The application, which is changed in place.
        models: The models of the page.
        queue: Where the work waits.
    """
    served, estimates = {each.name: each for each in models}, Estimates()
    shown = sorted(tabs.all().values(), key=lambda tab: tab.order)

    def model(name: str) -> Served:
        if name not in served:
            raise UsageError(f"no model is called {name!r} here; there are {', '.join(served)}")
        return served[name]

    @app.get("/api/about")
    def about() -> dict[str, Any]:
        return {
            "version": __version__,
            "tabs": [
                {**tab.about(), "models": [each.name for each in models if tab.serves(each.model)]} for tab in shown
            ],
            "models": [each.description for each in models],
            "solvers": [
                {**schema.form(cls), "stochastic": cls.stochastic, "adaptive": cls.adaptive}
                for cls in solvers.all().values()
            ],
            "conditioners": [schema.form(conditioners[name]) for name in offered()],
            "most_pictures": MOST_PICTURES,
        }

    about()  # imports what it needs, so that the first visitor does not wait for that

    @app.get("/api/classes")
    def classes(model_name: str, text: str) -> dict[str, Any]:
        names = model(model_name).model.class_names
        return {"classes": [names[number] for number in called(text, names)]}

    serve_photographs(app, model, estimates)

    def route(tab: type[Tab]) -> None:
        @app.post(f"/api/{tab.name}", name=tab.name)
        async def draw(request: Request) -> Response:
            asked = tab(**await table(request))
            here = model(asked.model)
            work = estimates.learning(asked.kind, asked.effort, await run_in_threadpool(asked.work, here))
            expected = estimates.seconds(asked.kind, asked.effort, here.pace)
            job = queue.submit(work, request.client.host if request.client else "", expected)
            return StreamingResponse(
                events(queue, job, request),
                media_type="text/event-stream",
                headers={"x-accel-buffering": "no"},
            )

    for tab in shown:
        route(tab)


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
            yield ": still here\n\n" if event == "beat" else f"event: {event}\ndata: {json.dumps(data)}\n\n"
    finally:
        watcher.cancel()
        queue.leave(job)
