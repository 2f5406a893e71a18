"""Mesh files hold what was put in, as another program's reader sees it."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge3d.errors import MissingExtraError, OutputError
from edge3d.io.glb import write_glb
from edge3d.io.obj import write_obj
from edge3d.io.ply import write_ply

trimesh = pytest.importorskip("trimesh", reason="needs the extra 'cli'")
pygltflib = pytest.importorskip("pygltflib", reason="needs the extra 'cli'")


def dome(rings: int = 9) -> tuple[np.ndarray, np.ndarray]:
    """A bump of 81 vertices that looks towards +z, 160 mm wide, triangles counter-clockwise."""
    x, y = np.meshgrid(np.linspace(-80, 80, rings), np.linspace(-100, 100, rings))
    z = 60 * np.exp(-(x**2 + y**2) / 4000)
    number = np.arange(rings * rings).reshape(rings, rings)
    a, b, c, d = number[:-1, :-1], number[:-1, 1:], number[1:, :-1], number[1:, 1:]
    triangles = np.concatenate(
        [np.stack([a, b, d], -1).reshape(-1, 3), np.stack([a, d, c], -1).reshape(-1, 3)]
    )
    vertices = np.stack([x, y, z], axis=-1).reshape(-1, 3).astype(np.float32)
    return vertices, triangles.astype(np.int32)


def colours_of(vertices: np.ndarray) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (len(vertices), 3)).astype(np.uint8)


def accessor(document: Any, number: int) -> np.ndarray:
    """Read an accessor by glTF's rules, sparse ones too."""
    blob = document.binary_blob()
    widths = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}
    types = {5123: np.uint16, 5125: np.uint32, 5126: np.float32}

    def read(view: int, component: int, count: int, width: int) -> np.ndarray:
        offset = document.bufferViews[view].byteOffset
        assert offset % np.dtype(types[component]).itemsize == 0
        values = np.frombuffer(blob, types[component], count * width, offset)
        assert values.nbytes == document.bufferViews[view].byteLength
        return values.reshape(count, width)

    entry = document.accessors[number]
    width = widths[entry.type]
    if entry.sparse is None:
        values = read(entry.bufferView, entry.componentType, entry.count, width)
    else:
        sparse = entry.sparse
        values = np.zeros((entry.count, width), np.float32)
        ids = read(sparse.indices.bufferView, sparse.indices.componentType, sparse.count, 1)[:, 0]
        assert (np.diff(ids.astype(int)) > 0).all(), "sparse indices must rise"
        values[ids] = read(sparse.values.bufferView, entry.componentType, sparse.count, width)
    if entry.min:
        assert np.allclose(values.min(axis=0), entry.min, atol=0)
        assert np.allclose(values.max(axis=0), entry.max, atol=0)
    return values


@pytest.mark.parametrize("coloured", [False, True])
@pytest.mark.parametrize("write, name", [(write_obj, "a.obj"), (write_ply, "a.ply")])
def test_obj_and_ply_round_trip(tmp_path: Path, write: Any, name: str, coloured: bool) -> None:
    vertices, triangles = dome()
    colours = colours_of(vertices) if coloured else None
    write(tmp_path / name, vertices, triangles, colours)
    mesh = trimesh.load(tmp_path / name, process=False, maintain_order=True)
    assert np.abs(mesh.vertices - vertices).max() <= 1e-5
    assert np.array_equal(mesh.faces, triangles)
    if colours is not None:
        assert np.array_equal(mesh.visual.vertex_colors[:, :3], colours)


def test_texture_coordinates(tmp_path: Path) -> None:
    vertices, triangles = dome()
    uv = (vertices[:, :2] + 100) / 200
    write_obj(tmp_path / "a.obj", vertices, triangles, uv=uv)
    write_ply(tmp_path / "a.ply", vertices, triangles, uv=uv)
    lines = (tmp_path / "a.obj").read_text().splitlines()
    read = np.array([line.split()[1:] for line in lines if line.startswith("vt ")], float)
    assert np.abs(read - uv).max() < 1e-6
    corners = [line.split()[1:] for line in lines if line.startswith("f ")]
    assert [[int(part.split("/")[1]) for part in face] for face in corners] == (
        (triangles + 1).tolist()
    )
    mesh = trimesh.load(tmp_path / "a.ply", process=False)
    assert np.allclose(mesh.visual.uv, uv, atol=1e-6)


def test_glb_geometry_is_in_metres_with_smooth_normals(tmp_path: Path) -> None:
    vertices, triangles = dome()
    write_glb(tmp_path / "a.glb", vertices, triangles)
    mesh = trimesh.load(tmp_path / "a.glb", process=False, force="mesh")
    assert np.allclose(mesh.vertices, vertices / 1000, atol=1e-7)
    assert np.array_equal(mesh.faces, triangles)
    document = pygltflib.GLTF2().load(str(tmp_path / "a.glb"))
    primitive = document.meshes[0].primitives[0]
    normals = accessor(document, primitive.attributes.NORMAL)
    assert np.allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-6)
    assert np.allclose(normals[40], [0, 0, 1], atol=0.02), "the top of the dome faces the viewer"
    assert (normals[:, 2] > 0).all()
    assert accessor(document, primitive.attributes.POSITION).shape == (81, 3)
    assert accessor(document, primitive.indices).max() == 80


def test_glb_morph_targets(tmp_path: Path) -> None:
    vertices, triangles = dome()
    rng = np.random.default_rng(2)
    few = np.zeros_like(vertices)
    few[10:20] = rng.normal(0, 3, (10, 3))
    few[50] = 0.004  # less than anyone sees
    everywhere = rng.normal(0, 3, vertices.shape).astype(np.float32)
    targets = {"jawOpen": everywhere, "mouthSmileLeft": few, "nothing": np.zeros_like(vertices)}
    write_glb(
        tmp_path / "a.glb",
        vertices,
        triangles,
        morph_targets=targets,
        weights={"mouthSmileLeft": 0.25},
    )
    document = pygltflib.GLTF2().load(str(tmp_path / "a.glb"))
    mesh = document.meshes[0]
    assert mesh.extras["targetNames"] == list(targets)
    assert mesh.weights == [0.0, 0.25, 0.0]
    stored = mesh.primitives[0].targets
    numbers = [t["POSITION"] if isinstance(t, dict) else t.POSITION for t in stored]
    for number, delta in zip(numbers, targets.values(), strict=True):
        assert np.abs(accessor(document, number) * 1000 - delta).max() < 0.01
    sparse = [document.accessors[number].sparse for number in numbers]
    assert sparse[0] is None, "a target that moves everything is smaller dense"
    assert sparse[1].count == 10
    assert sparse[2].count == 1


def test_glb_vertex_colours_are_linear(tmp_path: Path) -> None:
    vertices, triangles = dome()
    colours = np.zeros((len(vertices), 3), np.uint8)
    colours[0], colours[1] = 255, 188  # sRGB 188 is half of the light: 0.5029
    write_glb(tmp_path / "a.glb", vertices, triangles, colours=colours)
    document = pygltflib.GLTF2().load(str(tmp_path / "a.glb"))
    number = document.meshes[0].primitives[0].attributes.COLOR_0
    assert document.accessors[number].normalized is True
    values = accessor(document, number) / 65535
    assert np.allclose(values[0], [1, 1, 1, 1])
    assert np.allclose(values[1], [0.5029, 0.5029, 0.5029, 1], atol=1e-4)
    assert np.allclose(values[2], [0, 0, 0, 1])


def test_glb_texture(tmp_path: Path) -> None:
    vertices, triangles = dome()
    uv = (vertices[:, :2] + 100) / 200
    picture = np.zeros((64, 64, 3), np.uint8)
    picture[..., 0] = 200
    write_glb(tmp_path / "a.glb", vertices, triangles, uv=uv, texture_rgb=picture)
    document = pygltflib.GLTF2().load(str(tmp_path / "a.glb"))
    stored = accessor(document, document.meshes[0].primitives[0].attributes.TEXCOORD_0)
    assert np.allclose(stored, np.stack([uv[:, 0], 1 - uv[:, 1]], -1), atol=1e-6), "v is down"
    view = document.bufferViews[document.images[0].bufferView]
    data = document.binary_blob()[view.byteOffset : view.byteOffset + view.byteLength]
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    assert np.abs(decoded.astype(int) - [0, 0, 200]).max() < 5
    assert document.materials[0].pbrMetallicRoughness.baseColorTexture.index == 0


def test_glb_with_more_vertices_than_16_bits(tmp_path: Path) -> None:
    vertices, triangles = dome(260)
    delta = np.zeros_like(vertices)
    delta[-1] = 5
    write_glb(tmp_path / "a.glb", vertices, triangles, morph_targets={"last": delta})
    document = pygltflib.GLTF2().load(str(tmp_path / "a.glb"))
    primitive = document.meshes[0].primitives[0]
    assert np.array_equal(accessor(document, primitive.indices).reshape(-1, 3), triangles)
    target = primitive.targets[0]
    number = target["POSITION"] if isinstance(target, dict) else target.POSITION
    assert np.allclose(accessor(document, number) * 1000, delta, atol=1e-5)


@pytest.mark.parametrize("write", [write_obj, write_ply, write_glb])
def test_bad_input_is_refused_and_nothing_is_written(tmp_path: Path, write: Any) -> None:
    vertices, triangles = dome()
    cases: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
        ("vertices have shape", (vertices[:, :2], triangles), {}),
        ("not finite", (np.full_like(vertices, np.nan), triangles), {}),
        ("point beyond 81", (vertices, triangles + 1), {}),
        ("colours have shape", (vertices, triangles), {"colours": np.zeros((3, 3), np.uint8)}),
        ("uv has shape", (vertices, triangles), {"uv": np.zeros((3, 2))}),
    ]
    for message, positional, named in cases:
        with pytest.raises(ValueError, match=message):
            write(tmp_path / "a.bin", *positional, **named)
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="cannot write"):
        write(tmp_path / "file" / "a.bin", vertices, triangles)
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_glb_refuses_wrong_targets(tmp_path: Path) -> None:
    vertices, triangles = dome()
    with pytest.raises(ValueError, match=r"no morph target.*jawOpen"):
        write_glb(tmp_path / "a.glb", vertices, triangles, weights={"jawOpen": 1.0})
    with pytest.raises(ValueError, match="'jawOpen' of"):
        write_glb(tmp_path / "a.glb", vertices, triangles, morph_targets={"jawOpen": vertices[:5]})
    with pytest.raises(ValueError, match="needs uv"):
        write_glb(
            tmp_path / "a.glb", vertices, triangles, texture_rgb=np.zeros((8, 8, 3), np.uint8)
        )


@pytest.mark.parametrize(
    "write, package", [(write_obj, "trimesh"), (write_ply, "trimesh"), (write_glb, "pygltflib")]
)
def test_missing_package_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Any, package: str
) -> None:
    real = importlib.import_module

    def without(name: str, *rest: Any) -> Any:
        if name == package:
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)
        return real(name, *rest)

    monkeypatch.setattr(importlib, "import_module", without)
    with pytest.raises(MissingExtraError, match=rf"'{package}'.*edge3d\[cli\]"):
        write(tmp_path / "a.bin", *dome())
    assert list(tmp_path.iterdir()) == []
