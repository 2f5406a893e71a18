"""Writing meshes: OBJ and PLY for modelling tools, GLB with blendshapes for viewers and games.

Convention: the mesh comes in the face model's frame, x to the right, y up, z towards the camera
(right-handed, as glTF and most tools want it), in millimetres; triangles are counter-clockwise
seen from outside. OBJ and PLY keep millimetres; GLB is in metres, as glTF prescribes.

The packages that do it belong to the extra `cli` and are imported on the first call.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge3d.geometry.mesh import vertex_normals
from edge3d.io.files import atomic_path
from edge3d.io.mesh import check_surface, import_package

# A blendshape moves a vertex by less than this: left out, so that files stay small.
STILL_MM = 0.01

_MM_TO_M = 1e-3
_UNSIGNED_SHORT, _UNSIGNED_INT, _FLOAT = 5123, 5125, 5126  # glTF's names of component types
_VERTEX_DATA, _INDEX_DATA = 34962, 34963  # and of buffer views' targets


def write_glb(
    path: str | Path,
    vertices_mm: NDArray,
    triangles: NDArray,
    colours: NDArray[np.uint8] | None = None,
    uv: NDArray | None = None,
    texture_rgb: NDArray[np.uint8] | None = None,
    morph_targets: Mapping[str, NDArray] | None = None,
    weights: Mapping[str, float] | None = None,
    name: str = "face",
) -> None:
    """Write a binary glTF 2.0 file: one mesh with smooth normals, in metres.

    The blendshapes become morph targets whose names stand in `mesh.extras.targetNames`, where
    three.js, Blender and others look for them. A target that moves few vertices is stored sparse.

    Args:
        path: the file to write.
        vertices_mm: (N, 3), the shape with all weights at 0: the neutral face.
        triangles: (T, 3) integer.
        colours: (N, 3) uint8 sRGB.
        uv: (N, 2) texture coordinates, v up (the file has v down).
        texture_rgb: (H, W, 3) uint8 sRGB; needs `uv`.
        morph_targets: name to (N, 3) displacements in millimetres; those below `STILL_MM` are
            left out.
        weights: name to the initial weight, 0 for the targets that are not named.
        name: of the mesh and its node.

    Raises:
        MissingExtraError: the package pygltflib is not installed.
        OutputError: the file cannot be written.
        ValueError: shapes that do not fit, or a weight of no target.
    """
    gltf = import_package("pygltflib", "writing GLB files")
    vertices, triangles = check_surface(vertices_mm, triangles, colours, uv)
    if texture_rgb is not None and uv is None:
        raise ValueError("a texture needs uv")
    targets = dict(morph_targets or {})
    unknown = set(weights or {}) - set(targets)
    if unknown:
        raise ValueError(f"weights of no morph target: {sorted(unknown)}")

    file = _Glb(gltf)
    count = len(vertices)
    small = count < 65535  # the largest index is reserved
    index_type = _UNSIGNED_SHORT if small else _UNSIGNED_INT
    indices = triangles.astype(np.uint16 if small else np.uint32)
    normals = vertex_normals(vertices.astype(np.float64), triangles)
    attributes = {
        "POSITION": file.add(
            vertices * np.float32(_MM_TO_M), "VEC3", _FLOAT, _VERTEX_DATA, limits=True
        ),
        "NORMAL": file.add(normals.astype(np.float32), "VEC3", _FLOAT, _VERTEX_DATA),
    }
    if uv is not None:
        flipped = np.asarray(uv, np.float32) * np.array([1, -1], np.float32) + [0, 1]
        flipped = flipped.astype(np.float32)
        attributes["TEXCOORD_0"] = file.add(flipped, "VEC2", _FLOAT, _VERTEX_DATA)
    if colours is not None:
        attributes["COLOR_0"] = file.add(
            _linear_colours(colours), "VEC4", _UNSIGNED_SHORT, _VERTEX_DATA, normalized=True
        )
    primitive = gltf.Primitive(
        attributes=gltf.Attributes(**attributes),
        indices=file.add(indices.reshape(-1), "SCALAR", index_type, _INDEX_DATA),
        material=0,
    )
    mesh = gltf.Mesh(name=name, primitives=[primitive])
    if targets:
        primitive.targets = [
            {"POSITION": file.add_displacements(_checked_deltas(delta, count, key))}
            for key, delta in targets.items()
        ]
        mesh.weights = [float((weights or {}).get(key, 0.0)) for key in targets]
        mesh.extras = {"targetNames": list(targets)}
    surface = gltf.PbrMetallicRoughness(
        baseColorFactor=[1.0, 1.0, 1.0, 1.0], metallicFactor=0.0, roughnessFactor=0.85
    )
    if texture_rgb is not None:
        surface.baseColorTexture = gltf.TextureInfo(index=file.add_texture(texture_rgb))
    file.root.materials = [
        # The face is an open surface, and looks odd with holes where its inside is seen.
        gltf.Material(name=name, pbrMetallicRoughness=surface, doubleSided=True)
    ]
    file.root.meshes = [mesh]
    file.root.nodes = [gltf.Node(name=name, mesh=0)]
    file.root.scenes = [gltf.Scene(nodes=[0])]
    file.root.scene = 0
    with atomic_path(path) as temporary:
        temporary.write_bytes(file.to_bytes())


class _Glb:
    """A glTF document and its binary buffer, filled one array after the other."""

    def __init__(self, gltf: Any) -> None:
        self._gltf = gltf
        self._blob = bytearray()
        self.root = gltf.GLTF2(asset=gltf.Asset(version="2.0", generator="edge3d"))

    def add(
        self,
        values: NDArray,
        kind: str,
        component: int,
        target: int,
        limits: bool = False,
        normalized: bool | None = None,
    ) -> int:
        """Store an array as an accessor and return its number."""
        accessor = self._gltf.Accessor(
            bufferView=self._add_view(values.tobytes(), target),
            componentType=component,
            count=len(values),
            type=kind,
            normalized=normalized,
        )
        if limits:
            accessor.min, accessor.max = _limits(values)
        self.root.accessors.append(accessor)
        return len(self.root.accessors) - 1

    def add_displacements(self, delta_mm: NDArray[np.float32]) -> int:
        """Store a morph target's displacements (N, 3), sparse where that is smaller."""
        moving = np.flatnonzero(np.linalg.norm(delta_mm, axis=1) >= STILL_MM)
        delta = np.zeros_like(delta_mm)
        delta[moving] = delta_mm[moving] * np.float32(_MM_TO_M)
        small = len(delta) < 65535
        index_bytes = 2 if small else 4
        if len(moving) * (12 + index_bytes) >= 12 * len(delta):
            return self.add(delta, "VEC3", _FLOAT, _VERTEX_DATA, limits=True)
        if not len(moving):
            moving = np.zeros(1, np.int64)  # a sparse accessor holds one entry at least
        gltf = self._gltf
        indices = moving.astype(np.uint16 if small else np.uint32)
        accessor = gltf.Accessor(
            byteOffset=None,  # pygltflib's 0 is an error where there is no buffer view
            componentType=_FLOAT,
            count=len(delta),
            type="VEC3",
            sparse=gltf.Sparse(
                count=len(moving),
                indices=gltf.AccessorSparseIndices(
                    bufferView=self._add_view(indices.tobytes()),
                    componentType=_UNSIGNED_SHORT if small else _UNSIGNED_INT,
                ),
                values=gltf.AccessorSparseValues(
                    bufferView=self._add_view(delta[moving].tobytes())
                ),
            ),
        )
        accessor.min, accessor.max = _limits(delta)
        self.root.accessors.append(accessor)
        return len(self.root.accessors) - 1

    def add_texture(self, image_rgb: NDArray[np.uint8]) -> int:
        """Store a picture as JPEG and return its texture's number."""
        gltf = self._gltf
        done, encoded = cv2.imencode(
            ".jpg",
            cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR),
            [cv2.IMWRITE_JPEG_QUALITY, 92],
        )
        if not done:
            raise ValueError(f"texture of {image_rgb.shape} cannot be stored as JPEG")
        view = self._add_view(encoded.tobytes())
        self.root.images.append(gltf.Image(bufferView=view, mimeType="image/jpeg"))
        self.root.samplers.append(
            gltf.Sampler(magFilter=9729, minFilter=9987, wrapS=33071, wrapT=33071)
        )
        self.root.textures.append(gltf.Texture(source=0, sampler=0))
        return len(self.root.textures) - 1

    def to_bytes(self) -> bytes:
        self.root.buffers = [self._gltf.Buffer(byteLength=len(self._blob))]
        self.root.set_binary_blob(bytes(self._blob))
        return b"".join(self.root.save_to_bytes())

    def _add_view(self, content: bytes, target: int | None = None) -> int:
        """Append bytes, each view at a multiple of four, as accessors must be."""
        self.root.bufferViews.append(
            self._gltf.BufferView(
                buffer=0, byteOffset=len(self._blob), byteLength=len(content), target=target
            )
        )
        self._blob += content + bytes(-len(content) % 4)
        return len(self.root.bufferViews) - 1


def _checked_deltas(delta: NDArray, count: int, name: str) -> NDArray[np.float32]:
    delta = np.asarray(delta, np.float32)
    if delta.shape != (count, 3) or not np.isfinite(delta).all():
        raise ValueError(f"morph target '{name}' of {delta.shape}; ({count}, 3) finite wanted")
    return delta


def _linear_colours(colours: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Return sRGB colours (N, 3) as glTF's vertex colours: linear light, (N, 4) with alpha.

    In 16 bits, because 8 bits of linear light show bands in dark skin. Formula: IEC 61966-2-1.
    """
    value = colours.astype(np.float64) / 255.0
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    opaque = np.full((len(colours), 1), 65535.0)
    return np.rint(np.hstack([65535.0 * linear, opaque])).astype(np.uint16)


def _limits(values: NDArray) -> tuple[list[float], list[float]]:
    return values.min(axis=0).tolist(), values.max(axis=0).tolist()
