"""`edge3d serve`: opens an exported web app on this machine, or in the local network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from edge3d.cli import console


def serve(
    folder: Annotated[Path, typer.Argument(help="Folder of `edge3d export --target web`.")],
    port: Annotated[int, typer.Option(help="Port; 0 takes any free one.")] = 8000,
    lan: Annotated[
        bool,
        typer.Option(
            "--lan",
            help="Serve the local network too, for a phone: https with a self-signed certificate.",
        ),
    ] = False,
) -> None:
    """Serve a web app until Ctrl-C, to this machine's browser alone unless --lan is given."""
    from edge3d.export.targets.web.server import make_server

    with make_server(folder, port, lan=lan) as server:
        console.out.print(f"{escape(str(folder))} is at {server.url}; Ctrl-C ends it")
        if lan:
            console.out.print(
                "Everyone in this network can open it. The certificate is self-signed and made "
                "for this run: the browser warns about it; continue only for this address."
            )
            _print_qr(server.url)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            console.out.print("ended")


def _print_qr(url: str) -> None:
    import segno

    if console.out.is_terminal:
        segno.make(url, micro=False).terminal(compact=True)
