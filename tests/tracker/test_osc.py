from __future__ import annotations

import socket

import numpy as np
import pytest

from edge3d import FaceReconstructor
from edge3d.errors import Edge3dError
from edge3d.tracker.osc import AvatarSender, unity_quaternion
from tests.tracker.conftest import FrameMaker

pytest.importorskip("pythonosc", reason="no python-osc: needs the extra cli")


def test_messages_arrive(reconstructor: FaceReconstructor, frame: FrameMaker) -> None:
    from pythonosc.osc_message import OscMessage

    (face,) = reconstructor.reconstruct(frame())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(5)
        AvatarSender(f"127.0.0.1:{listener.getsockname()[1]}").send(face)
        messages = [OscMessage(listener.recv(4096)) for _ in range(len(face.blendshapes) + 2)]
    values = dict(message.params for message in messages[:-2])
    assert values == pytest.approx(face.blendshapes, abs=1e-6)
    assert messages[-2].address == "/VMC/Ext/Blend/Apply"
    assert messages[-1].address == "/VMC/Ext/Bone/Pos" and messages[-1].params[0] == "Head"
    assert np.linalg.norm(messages[-1].params[4:]) == pytest.approx(1, abs=1e-5)


def test_quaternions_are_left_handed() -> None:
    half = np.radians(15)
    about_y = np.array([[np.cos(2 * half), 0, np.sin(2 * half)], [0, 1, 0],
                        [-np.sin(2 * half), 0, np.cos(2 * half)]])  # fmt: skip
    assert unity_quaternion(about_y) == pytest.approx([0, -np.sin(half), 0, np.cos(half)])
    assert unity_quaternion(np.eye(3)) == pytest.approx([0, 0, 0, 1])


@pytest.mark.parametrize("address", ["127.0.0.1", ":9000", "host:port", "127.0.0.1:0"])
def test_bad_addresses_are_told(address: str) -> None:
    with pytest.raises(Edge3dError, match="HOST:PORT"):
        AvatarSender(address)
