"""Keeping converters' chatter off the terminal."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def quiet(log: str | Path = os.devnull) -> Iterator[None]:
    """Keep what is printed inside: by Python, and by libraries in C++ that write to the terminal.

    Exceptions pass. It acts on the whole process, so that other threads are not heard either.

    Args:
        log: the file that it goes to.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    saved = {number: os.dup(number) for number in (1, 2)}
    # Never closed, as another thread's spinner may still write to it when this is over.
    sink = io.StringIO()
    try:
        with (
            open(log, "a") as file,
            warnings.catch_warnings(),
            contextlib.redirect_stdout(sink),
            contextlib.redirect_stderr(sink),
        ):
            warnings.simplefilter("ignore")
            for number in saved:
                os.dup2(file.fileno(), number)
            try:
                yield
            finally:
                file.write(sink.getvalue())
    finally:
        for number, copy in saved.items():
            os.dup2(copy, number)
            os.close(copy)
