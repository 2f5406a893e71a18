"""What this machine can measure on."""

from __future__ import annotations

from edge3d.errors import Edge3dError

MEASURED = ("cpu", "android")


def devices() -> list[str]:
    """Return the names of what is there: cpu, ONNX Runtime's cuda, OpenVINO's devices."""
    names = ["cpu"]
    try:
        import onnxruntime

        if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
            names.append("cuda (ONNX Runtime)")
    except ImportError:
        pass
    try:
        import openvino  # type: ignore[import-untyped, unused-ignore]

        names += [f"{name} (OpenVINO)" for name in openvino.Core().available_devices]
    except ImportError:
        pass
    return names


def check_device(name: str) -> None:
    """Make sure that edge3d measures on a device.

    Raises:
        Edge3dError: it does not; the message lists what is there.
    """
    if name not in MEASURED:
        raise Edge3dError(
            f"--device {name}: measured is on {' or '.join(MEASURED)}; "
            f"this machine has {', '.join(devices())}"
        )
