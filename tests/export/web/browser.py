"""What tests do with the page in a browser."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import edge3d
from edge3d.bundled import portrait_path

Open = Callable[..., Any]

FAKE_CAMERA = "--use-fake-device-for-media-stream"
FAKE_CONSENT = "--use-fake-ui-for-media-stream"


def says(page: Any, text: str) -> None:
    """Wait until the app's status says something."""
    from playwright.sync_api import expect

    expect(page.get_by_role("status")).to_contain_text(text, timeout=60_000)


def ask(page: Any, script: str, given: Any = None) -> Any:
    """Return what a function gives on the page; as text, which for long arrays is much faster."""
    return json.loads(page.evaluate(f"async x => JSON.stringify(await ({script})(x))", given))


def open_portrait(page: Any) -> None:
    page.get_by_label("Open photo").set_input_files(str(portrait_path()))
    says(page, "A face was found in portrait.jpg")


FACE = """face => ({
    box: face.box, landmarks: [...face.landmarks], vertices: [...face.vertices],
    pose: [face.pose.yawDeg, face.pose.pitchDeg, face.pose.rollDeg], blendshapes: face.blendshapes,
})"""


def check_face(found: dict[str, Any], wanted: edge3d.Face) -> None:
    points = {name: np.reshape(found[name], (-1, 3)) for name in ("landmarks", "vertices")}
    np.testing.assert_allclose(points["landmarks"], wanted.landmarks_px, atol=0.01)
    np.testing.assert_allclose(points["vertices"], wanted.vertices_px, atol=0.05)
    angles = [wanted.pose.yaw_deg, wanted.pose.pitch_deg, wanted.pose.roll_deg]
    np.testing.assert_allclose(found["pose"], angles, atol=0.01)
    assert found["blendshapes"] == pytest.approx(dict(wanted.blendshapes), abs=1e-3)
