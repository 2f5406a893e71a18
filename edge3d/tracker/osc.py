"""Sends a face to an avatar over UDP: OSC messages as VMC's "performer" sends them.

https://protocol.vmc.info: `/VMC/Ext/Blend/Val` for each blendshape, by ARKit's name,
`/VMC/Ext/Blend/Apply` after the last, and `/VMC/Ext/Bone/Pos` for the head's rotation.
"""

from __future__ import annotations

import numpy as np

from edge3d.errors import Edge3dError, MissingExtraError
from edge3d.geometry.pose import rotation_vectors
from edge3d.reconstruct.face import Face


class AvatarSender:
    """Sends faces to one place; what is lost on the way is lost, as is usual with UDP.

    Args:
        address: HOST:PORT, for example 127.0.0.1:39539, where VMC's programs listen.

    Raises:
        Edge3dError: not HOST:PORT, or there is no such host.
        MissingExtraError: python-osc is not installed.
    """

    def __init__(self, address: str) -> None:
        try:
            from pythonosc.udp_client import SimpleUDPClient
        except ImportError as error:
            raise MissingExtraError("sending OSC", "cli", "python-osc") from error
        host, colon, port = address.rpartition(":")
        if not colon or not host or not port.isdigit() or not 0 < int(port) < 65536:
            raise Edge3dError(f"--osc {address}: write it as HOST:PORT, like 127.0.0.1:39539")
        try:
            self._client = SimpleUDPClient(host, int(port))
        except OSError as error:
            raise Edge3dError(f"--osc {address}: there is no such host ({error})") from error

    def send(self, face: Face) -> None:
        """Send a face's blendshapes and head rotation."""
        for name, value in face.blendshapes.items():
            self._client.send_message("/VMC/Ext/Blend/Val", [name, float(value)])
        self._client.send_message("/VMC/Ext/Blend/Apply", [])
        place = [0.0, 0.0, 0.0]
        self._client.send_message(
            "/VMC/Ext/Bone/Pos", ["Head", *place, *unity_quaternion(face.pose.rotation)]
        )


def unity_quaternion(rotation: np.ndarray) -> list[float]:
    """Return (x, y, z, w) in Unity's left-handed frame of a head rotation (3, 3).

    Ours is right-handed with x to the face's left; with x to its right, the rest as it is, axes x
    keep their turn and axes y and z reverse theirs.
    """
    turn = rotation_vectors(rotation)
    angle = float(np.linalg.norm(turn))
    x, y, z = turn * (np.sin(angle / 2) / angle if angle > 1e-9 else 0.5)
    return [float(x), float(-y), float(-z), float(np.cos(angle / 2))]
