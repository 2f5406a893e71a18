"""`edge3d evaluate` end to end."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.test_cli import failing
from tests.evaluate.conftest import reconstructor, written  # noqa: F401

Command = Callable[..., "object"]


def test_numbers_and_page(edge3d_command: Command, written: Path, tmp_path: Path) -> None:  # noqa: F811
    out, page = tmp_path / "numbers.json", tmp_path / "page.html"
    done = edge3d_command(
        "evaluate", "--dataset", f"aflw2000-3d:{written}", "--json", out, "--report", page
    )
    assert done.returncode == 0, done.stderr
    assert "balanced" in done.stdout and "head pose" in done.stdout
    result = json.loads(out.read_text())
    assert result["n"] == 3
    assert len(result["nme"]["bins"]) == 3 and result["nme"]["bins"][1] is None
    assert set(result["pose_mae_deg"]) == {"n", "yaw", "pitch", "roll", "mean"}
    assert result["nme_detector_box"]["all"] < 0.5 and result["nme_detector_box"]["detected"] == 1
    assert result["nme_reannotated"] is None
    text = page.read_text()
    assert text.count("data:image/jpeg;base64") == 3 and "<svg" in text
    assert 'src="http' not in text and "href=" not in text.replace('xlink:href="#', "")


@pytest.mark.parametrize("dataset", ["aflw2000-3d", "aflw2000-3d:", "celeba:somewhere"])
def test_an_unknown_data_set_is_told(edge3d_command: Command, dataset: str) -> None:
    message = failing(edge3d_command, "evaluate", "--dataset", dataset)
    assert "NAME:DIR" in message and "aflw2000-3d" in message
