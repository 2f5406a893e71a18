"""The command line: parse, call, print. Everything else is in the package's other modules."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the `edge3d` command."""
    try:
        from edge3d.cli.app import run
    except ModuleNotFoundError as error:
        if error.name not in ("typer", "rich", "click"):
            raise
        sys.exit(
            f"the edge3d command needs the package '{error.name}', which is not installed; "
            'install it with: pip install "edge3d[cli]"'
        )
    run()
