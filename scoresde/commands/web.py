"""`scoresde web`: a page for the browser."""

from pathlib import Path

import click

from .. import models
from ..core.aligned import terminal
from ..core.devices import device
from ..core.errors import UsageError
from ..core.signals import ended_at_once
from ..sampling.precision import Asked
from .options import network_options


@click.command(
    epilog="""\b
By default only this machine can open the page. With --host, others can open it too, by
the printed link, which contains a key. The connection is not encrypted.
\b
Examples:
  scoresde web
  scoresde web --model runs/photos --model digits --port 9000
  scoresde web --host 0.0.0.0 --catalogue family.sqlite
  scoresde web --public https://demo.example.org/scoresde"""
)
@click.option(
    "--model",
    "models",
    multiple=True,
    help="Run, model folder or bundled name. Can be repeated. [default: all bundled]",
)
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="Port; 0 is any free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at; 0.0.0.0 for all.")
@click.option(
    "--catalogue",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File of the pictures that are kept. [default: catalogue.sqlite in your application folder]",
)
@click.option(
    "--public",
    metavar="URL",
    help="Address at which others see the page, through a proxy, which has to set X-Forwarded-For.",
)
@network_options
def web(
    models: tuple[str, ...],
    port: int,
    host: str,
    catalogue: Path | None,
    public: str | None,
    device_name: str,
    precision: Asked,
    compile: bool,
) -> None:
    """Serve a page for the browser, to draw, inpaint, colourise, compare and keep pictures."""
    try:
        with ended_at_once():
            from ..web.app import WebSettings, create_app
            from ..web.link import blocks
            from ..web.proxy import public_address
            from ..web.server import listening, server
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in ("sqlite3", "_sqlite3"):
            raise UsageError(
                "the page keeps its pictures with sqlite3, which this Python was built without: use another Python"
            ) from None
        if missing not in ("fastapi", "segno", "starlette", "uvicorn"):
            raise
        raise UsageError(f"the page needs {error.name}: install it with pip install 'scoresde[web]'") from None
    outside = public_address(public or "")
    place = catalogue or Path(click.get_app_dir("scoresde")) / "catalogue.sqlite"
    with listening(host, port) as listener:
        settings = WebSettings(
            models=models or quickest_first(),
            catalogue=place,
            host=host,
            port=listener.getsockname()[1],
            device=device(device_name),
            public=outside,
            precision=precision,
            compile=compile,
        )
        queue = settings.queue()
        app = create_app(settings, queue)
        click.echo(f"The page is at {settings.link}\nPictures are kept in {place}. Ctrl-C ends it.")
        if not settings.policy.free and terminal():
            click.echo(blocks(settings.link))
        server(app, queue.close).run(sockets=[listener])


def quickest_first() -> tuple[str, ...]:
    """The bundled models, the smallest first, as the page lists them."""
    return tuple(sorted(models.bundled(), key=lambda name: (models.locate(name) / models.WEIGHTS).stat().st_size))
