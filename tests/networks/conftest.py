"""Skips these tests where PyTorch is missing."""

import pytest

pytest.importorskip("torch", reason="needs PyTorch: pip install 'edge3d[train]'")
