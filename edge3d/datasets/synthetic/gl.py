"""OpenGL for rendered faces: a context without a window, programs, meshes, textures.

Without a graphics card Mesa's software renderer llvmpipe is used, in the calling thread alone: a
process renders on one core, and several are several workers.
"""

from __future__ import annotations

import os
from importlib import resources
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge3d.errors import MissingExtraError, RenderingError

DRIVER = "on Debian or Ubuntu: apt-get install libegl1 libegl-mesa0 libgl1-mesa-dri"


def import_moderngl() -> ModuleType:
    """Import moderngl.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import moderngl
    except ImportError as error:
        raise MissingExtraError("rendering faces with textures", "render", "moderngl") from error
    return moderngl


def open_context() -> Any:
    """Open an OpenGL context without a window.

    Raises:
        MissingExtraError: moderngl is not installed.
        RenderingError: there is no driver.
    """
    os.environ.setdefault("LP_NUM_THREADS", "0")  # llvmpipe in the calling thread alone
    moderngl = import_moderngl()
    try:
        return moderngl.create_context(standalone=True, backend="egl", require=330)
    except Exception as error:  # the glcontext package raises bare exceptions
        raise RenderingError(
            f"rendering faces needs OpenGL 3.3 through EGL, which did not open ({error}); {DRIVER}"
        ) from error


def program(context: Any, vertex: str, fragment: str) -> Any:
    """Compile the program of two files in `shaders/`."""
    folder = resources.files("edge3d.datasets.synthetic") / "shaders"
    common = (folder / "common.glsl").read_text(encoding="utf-8")
    sources = [common + (folder / name).read_text(encoding="utf-8") for name in (vertex, fragment)]
    return context.program(vertex_shader=sources[0], fragment_shader=sources[1])


def put(compiled: Any, **values: Any) -> None:
    """Set uniforms; those that the compiler removed are left out."""
    for name, value in values.items():
        if name in compiled:
            if isinstance(value, np.ndarray):
                value = np.asarray(value, np.float32)
                compiled[name].write(value.tobytes())
            else:
                compiled[name].value = value


def texture(context: Any, image: NDArray, mipmaps: bool = True, repeat: bool = False) -> Any:
    """Upload an image (h, w, C), uint8 or float32; its first row has v = 0."""
    dtype = "f1" if image.dtype == np.uint8 else "f4"
    data = np.ascontiguousarray(image)
    made = context.texture(
        (image.shape[1], image.shape[0]), image.shape[2], data.tobytes(), dtype=dtype, alignment=1
    )
    moderngl = import_moderngl()
    made.repeat_x = made.repeat_y = repeat
    if mipmaps:
        made.build_mipmaps()
        made.filter = (moderngl.LINEAR_MIPMAP_NEAREST, moderngl.LINEAR)
    return made


class Mesh:
    """A mesh whose positions and normals change with every face.

    Args:
        context: OpenGL's.
        corners: number of corners at most.
        triangles: number of triangles at most.
        fixed: name to per-corner values (C, k) that stay, float32.
    """

    def __init__(
        self, context: Any, corners: int, triangles: int, fixed: dict[str, NDArray]
    ) -> None:
        self._context = context
        self._moving = context.buffer(reserve=corners * 24)
        self._index = context.buffer(reserve=max(triangles, 1) * 12)
        self._fixed = {n: np.ascontiguousarray(v, np.float32) for n, v in fixed.items()}
        self._buffers = {n: context.buffer(v.tobytes()) for n, v in self._fixed.items()}
        self._arrays: dict[int, Any] = {}
        self._count = 0

    def update(self, positions: NDArray, normals: NDArray, triangles: NDArray) -> None:
        """Set positions (C, 3), normals (C, 3) and triangles (T, 3)."""
        self._moving.write(
            np.concatenate([positions, normals], axis=1).astype(np.float32).tobytes()
        )
        if len(triangles):
            self._index.write(np.ascontiguousarray(triangles, np.int32).tobytes())
        self._count = 3 * len(triangles)

    def write(self, name: str, values: NDArray) -> None:
        """Change one of the fixed attributes."""
        self._buffers[name].write(np.ascontiguousarray(values, np.float32).tobytes())

    def draw(self, compiled: Any) -> None:
        """Draw with a program that takes any of the attributes."""
        if not self._count:
            return
        array = self._arrays.get(id(compiled))
        if array is None:
            content = [(self._moving, *_moving_format(compiled))]
            for name, values in self._fixed.items():
                if name in compiled:
                    content.append((self._buffers[name], f"{values.shape[1]}f", name))
            array = self._context.vertex_array(compiled, content, self._index, index_element_size=4)
            self._arrays[id(compiled)] = array
        array.render(vertices=self._count)


def _moving_format(compiled: Any) -> tuple[str, ...]:
    if "normal" in compiled:
        return ("3f 3f", "position", "normal")
    return ("3f 12x", "position")
