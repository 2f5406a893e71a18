"""Runs a model file in an arm64 process under qemu: a phone's code on another CPU.

`scripts/arm64.sh` makes the folder with qemu, an arm64 Python and the runtimes for it.
"""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO, cast

import numpy as np
from numpy.typing import NDArray

from edge3d.errors import Edge3dError
from edge3d.runtime.checks import check_images
from edge3d.runtime.registry import open_runner, read_contract

SUFFIXES = (".tflite", ".onnx")  # whose runtimes the folder has
CPU = "neoverse-n1"


class Arm64Runner:
    """Runs a model file in an emulated process; a `GraphRunner`.

    Emulation is slow (0.4 s a face in float32), so answers are kept: the same crops again cost
    nothing.

    Args:
        path: a .tflite or .onnx file. space: the folder that `scripts/arm64.sh` made.

    Raises:
        ContractError: the file is damaged. Edge3dError: the folder is not complete.
    """

    def __init__(self, path: str | Path, space: str | Path) -> None:
        space = Path(space).absolute()
        qemu, root = space / "qemu" / "qemu-aarch64-static", space / "root"
        python = root / "usr" / "bin" / "python3"
        for needed in (qemu, python, space / "site"):
            if not needed.exists():
                raise Edge3dError(
                    f"{space}: is no arm64 user space, {needed.name} is not there; make one with "
                    "`sh scripts/arm64.sh FOLDER`"
                )
        self.contract = read_contract(path)
        self.path = Path(path)
        package = Path(__file__).absolute().parents[2]
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        self._process = subprocess.Popen(
            [qemu, "-L", root, "-E", f"PYTHONPATH={space / 'site'}:{package}", python, "-m",
             "edge3d.runtime.arm64", self.path.absolute()],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._stderr,
            env=os.environ | {"QEMU_CPU": CPU, "PYTHONDONTWRITEBYTECODE": "1"},
        )  # fmt: skip
        self._kept: dict[bytes, dict[str, NDArray[np.float32]]] = {}

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return whitened parameters (B, P) of crops (B, 120, 120, 3), uint8 RGB."""
        return self.outputs(images)["params"]

    def outputs(self, images: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """Return all outputs of the graph by name.

        Raises:
            Edge3dError: the emulated process failed; the message has its last line.
        """
        images = check_images(images)
        key = hashlib.sha256(images.tobytes()).digest()
        if key not in self._kept:
            self._kept[key] = self._ask(images)
        return dict(self._kept[key])

    def close(self) -> None:
        """End the process."""
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        self._process.wait()
        self._stderr.close()

    def _ask(self, images: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        ask, answer = self._process.stdin, self._process.stdout
        assert ask is not None and answer is not None
        try:
            _send(ask, images)
            return {output.name: _receive(answer) for output in self.contract.outputs}
        except (OSError, EOFError, ValueError) as error:
            self._process.wait()
            self._stderr.seek(0)
            last = self._stderr.read().decode(errors="replace").strip().splitlines()[-1:]
            raise Edge3dError(
                f"{self.path.name}: the emulated process failed: {''.join(last) or error}"
            ) from error


def _send(pipe: IO[bytes], array: NDArray) -> None:
    content = io.BytesIO()
    np.save(content, array)
    pipe.write(len(content.getvalue()).to_bytes(8, "little") + content.getvalue())
    pipe.flush()


def _receive(pipe: IO[bytes]) -> NDArray:
    size = int.from_bytes(pipe.read(8), "little")
    return np.load(io.BytesIO(pipe.read(size)), allow_pickle=False)


def main() -> None:
    """Answer arrays of crops from standard input with outputs; what the emulated process runs."""
    runner = open_runner(sys.argv[1])
    several = len(runner.contract.outputs) > 1
    ask, answer = cast(io.BufferedReader, sys.stdin.buffer), sys.stdout.buffer
    while ask.peek(1):
        images = _receive(ask)
        outputs = runner.outputs(images) if several else {"params": runner(images)}  # type: ignore[attr-defined]
        for output in runner.contract.outputs:
            _send(answer, outputs[output.name])


if __name__ == "__main__":
    main()
