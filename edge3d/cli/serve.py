"""`edge3d serve`: opens an exported web app on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from edge3d.cli import console


def serve(
    folder: Annotated[Path, typer.Argument(help="Folder of `edge3d export --target web`.")],
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 takes any free one.")] = 8000,
) -> None:
    """Serve a web app to this machine's browser until Ctrl-C."""
    from edge3d.export.targets.web.server import make_server

    with make_server(folder, port) as server:
        address = f"http://localhost:{server.server_address[1]}/"
        console.out.print(f"{escape(str(folder))} is at {address}; Ctrl-C ends it")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            console.out.print("ended")
