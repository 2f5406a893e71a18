"""Runs the real command line, in this process or in one of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

pytest.importorskip("typer", reason="the command line needs typer: pip install 'edge3d[cli]'")


@pytest.fixture(scope="session")
def edge3d_command() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `edge3d ARGUMENTS...` and return its exit code and output."""

    def run(*arguments: object, width: int = 80) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "edge3d", *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=300,
            env={**__import__("os").environ, "COLUMNS": str(width), "NO_COLOR": "1"},
        )

    return run
