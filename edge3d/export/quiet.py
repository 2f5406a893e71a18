"""Keeping converters' chatter off the terminal."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Drop what is printed inside: by Python, and by libraries in C++ that write to the terminal.

    Exceptions pass. It acts on the whole process, so that other threads are not heard either.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    saved = {number: os.dup(number) for number in (1, 2)}
    # Never closed, as another thread's spinner may still write to it when this is over.
    sink = io.StringIO()
    try:
        with (
            open(os.devnull, "w") as nowhere,
            warnings.catch_warnings(),
            contextlib.redirect_stdout(sink),
            contextlib.redirect_stderr(sink),
        ):
            warnings.simplefilter("ignore")
            for number in saved:
                os.dup2(nowhere.fileno(), number)
            yield
    finally:
        for number, copy in saved.items():
            os.dup2(copy, number)
            os.close(copy)
