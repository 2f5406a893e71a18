"""Skips that continuous integration does not allow (see `tests/conftest.py`, EDGE3D_REQUIRE)."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

LANGUAGES = ("web", "cpp")


def lacks(language: str, what: str) -> NoReturn:
    """Skip a test that needs a tool; fail it where EDGE3D_REQUIRE names its language.

    Args:
        language: one of `LANGUAGES`. what: the missing tool and how to get it.
    """
    required = os.environ.get("EDGE3D_REQUIRE", "").replace(",", " ").split()
    unknown = sorted(set(required) - set(LANGUAGES))
    if unknown:
        pytest.fail(f"EDGE3D_REQUIRE names {', '.join(unknown)}; use {', '.join(LANGUAGES)}")
    if language in required:
        pytest.fail(f"EDGE3D_REQUIRE={language}, but {what}", pytrace=False)
    pytest.skip(what)
