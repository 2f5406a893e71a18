from __future__ import annotations

import os
import sys

import pytest

from edge3d.export.quiet import quiet


def test_quiet(capfd: pytest.CaptureFixture[str]) -> None:
    sys.stdout.write("before\n")
    with pytest.raises(KeyError), quiet():
        sys.stdout.write("python\n")
        sys.stderr.write("python")
        os.write(1, b"native")
        os.write(2, b"native")
        raise KeyError
    sys.stdout.write("after\n")
    os.write(2, b"heard")
    out, err = capfd.readouterr()
    assert out.split() == ["before", "after"]
    assert err == "heard"
