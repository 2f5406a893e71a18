"""Skins, parts and light for rendered faces: a folder of free material that the user names.

The folder holds `licences.csv`, `skins/skins.json`, `parts/parts.json` and `env.npz`; the formats
are those of MakeHuman's community assets, cut down to the head. Every file that is used must have
a row in `licences.csv`, so that what a face is made of can be told.
"""

from __future__ import annotations

import csv
import hashlib
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge3d.errors import DatasetError

SKIN_SIZE = (896, 384)
PART_KINDS = ("eyebrow", "eyelashes", "teeth", "tongue", "hair", "beard")
NO_FOLDER = (
    "{folder} is no folder of assets for rendered faces: it has no licences.csv; "
    "name one by data.assets=FOLDER, or leave it out for plain faces"
)
FREE_LICENCES = ("CC0-1.0", "CC-BY-4.0", "CC-BY-3.0", "MIT", "Apache-2.0")


@dataclass(frozen=True, eq=False)
class Skin:
    """A skin's texture and what is known about it.

    Attributes:
        texture_rgb: (896, 384, 3) uint8 sRGB, the head's part of hm08's UV map.
        cheek, neck, socket: (3,) linear RGB.
        sex, age, ancestry: as its author says. note: what is painted on it, or empty.
    """

    name: str
    texture_rgb: NDArray[np.uint8]
    cheek: NDArray[np.float32]
    neck: NDArray[np.float32]
    socket: NDArray[np.float32]
    sex: str
    age: str
    ancestry: str
    note: str


@dataclass(frozen=True, eq=False)
class Part:
    """A mesh that is bound to hm08, with its texture.

    Attributes:
        ref, weight, offset: (N, 3) each: the vertices of hm08 that carry one of its own.
        scale_ref: (3, 2). scale_div: (3,), in decimetres.
        triangles: (T, 3) corners. corner_vertex: (C,). corner_uv: (C, 2), v down.
        texture_rgba: (h, w, 4) uint8 sRGB.
    """

    name: str
    kind: str
    ref: NDArray[np.int64]
    weight: NDArray[np.float32]
    offset: NDArray[np.float32]
    scale_ref: NDArray[np.int64]
    scale_div: NDArray[np.float32]
    triangles: NDArray[np.int32]
    corner_vertex: NDArray[np.int64]
    corner_uv: NDArray[np.float32]
    texture_rgba: NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Assets:
    """What is in a folder of assets.

    Attributes:
        skins: all of them. uv_crop: (u0, u1, v0, v1) of hm08's map that the textures show.
        parts: by kind. irises_rgba: textures of eyeballs.
        environments: (h, w, 3) float32 linear, by name, each of mean 1.
        licences: of each used file: name, author, licence, source.
    """

    folder: Path
    skins: tuple[Skin, ...]
    uv_crop: tuple[float, float, float, float]
    parts: dict[str, tuple[Part, ...]]
    irises_rgba: tuple[NDArray[np.uint8], ...]
    environments: dict[str, NDArray[np.float32]]
    licences: dict[str, dict[str, str]]

    def credits(self) -> list[str]:
        """Return a line for each author whose licence asks to be named."""
        lines = {
            f"{row['name']} by {row['author']} ({row['licence']}), {row['source']}"
            for row in self.licences.values()
            if row["licence"].startswith("CC-BY")
        }
        return sorted(lines)


def load_assets(folder: str | Path) -> Assets:
    """Read a folder of assets.

    Raises:
        DatasetError: the folder, a file in it or its licence record is missing or damaged.
    """
    folder = Path(folder)
    if not (folder / "licences.csv").is_file():
        raise DatasetError(NO_FOLDER.format(folder=folder))
    rows = _licences(folder / "licences.csv")
    used: dict[str, dict[str, str]] = {}

    def path_of(name: str) -> Path:
        if name not in rows:
            raise DatasetError(
                f"{folder / 'licences.csv'} has no row for {name}; a file whose licence is not "
                "recorded is not used. Add a row, or take the file out of its JSON list"
            )
        if rows[name]["licence"] not in FREE_LICENCES:
            raise DatasetError(
                f"{folder / name} is under '{rows[name]['licence']}', which is none of "
                f"{', '.join(FREE_LICENCES)}; take it out of its JSON list"
            )
        if not (folder / name).is_file():
            raise DatasetError(f"{folder / name} is missing, though it is listed; copy it again")
        used[name] = rows[name]
        return folder / name

    skins_json = _json(folder / "skins" / "skins.json")
    parts_json = _json(folder / "parts" / "parts.json")
    crop = skins_json["uv_crop"]
    skins = tuple(_skin(entry, path_of(entry["file"])) for entry in skins_json["skins"])
    parts = {}
    for kind in PART_KINDS:
        textures = parts_json.get(f"{kind}_textures", {})
        parts[kind] = tuple(
            _part(name, kind, path_of(entry["mesh"]), path_of(textures[name]["file"]))
            for name, entry in parts_json.get(kind, {}).items()
            if name in textures
        )
    irises = [_image(path_of(e["file"])) for e in parts_json.get("eye_textures", {}).values()]
    if not skins or not irises or not parts["hair"]:
        raise DatasetError(f"{folder} lists no skins, eyes or hair; copy it again")
    return Assets(
        folder=folder,
        skins=skins,
        uv_crop=(crop["u0"], crop["u1"], crop["v0"], crop["v1"]),
        parts=parts,
        irises_rgba=tuple(irises),
        environments=_environments(folder / "env.npz", rows, used),
        licences=used,
    )


def content_of(folder: str | Path) -> str:
    """Return a SHA-256 of what a folder of assets says that it holds: its licence records.

    Raises:
        DatasetError: it has none.
    """
    path = Path(folder) / "licences.csv"
    if not path.is_file():
        raise DatasetError(NO_FOLDER.format(folder=folder))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _licences(path: Path) -> dict[str, dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows or not {"file", "name", "author", "licence", "source"} <= set(rows[0]):
        raise DatasetError(f"{path} has no columns file, name, author, licence, source")
    return {row["file"]: row for row in rows}


def _json(path: Path) -> dict:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path} cannot be read ({error}); copy the assets again") from error


def _image(path: Path) -> NDArray[np.uint8]:
    """Return an image (h, w, 4) uint8 RGBA."""
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if image is None or image.ndim != 3 or image.dtype != np.uint8:
        raise DatasetError(f"{path} is no 8-bit colour image; copy it again")
    code = cv2.COLOR_BGRA2RGBA if image.shape[2] == 4 else cv2.COLOR_BGR2RGBA
    return np.asarray(cv2.cvtColor(image, code), np.uint8)


def _skin(entry: dict, path: Path) -> Skin:
    image = _image(path)[..., :3]
    size = (SKIN_SIZE[1], SKIN_SIZE[0])
    shrink = image.shape[0] > SKIN_SIZE[0]
    image = cv2.resize(image, size, interpolation=cv2.INTER_AREA if shrink else cv2.INTER_CUBIC)
    return Skin(
        name=Path(entry["file"]).stem,
        texture_rgb=np.ascontiguousarray(image, np.uint8),
        cheek=np.array(entry["cheek_linear"], np.float32),
        neck=np.array(entry["neck_linear"], np.float32),
        socket=np.array(entry["eye_socket_linear"], np.float32),
        sex=entry["sex"],
        age=entry["age"],
        ancestry=entry["ancestry"],
        note=entry.get("note", ""),
    )


def _part(name: str, kind: str, mesh: Path, texture: Path) -> Part:
    try:
        with np.load(mesh, allow_pickle=False) as file:
            data = {key: file[key] for key in file.files}
        # Half precision does not sum to 1, and what is missing would move with the origin.
        weight = data["weight"].astype(np.float32)
        weight /= weight.sum(axis=1, keepdims=True)
        pairs = np.stack([data["quads"], data["quad_uv"]], axis=-1).astype(np.int64)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise DatasetError(
            f"{mesh} is no part for hm08 ({error!r}); copy the assets again"
        ) from error
    corners, index = np.unique(pairs.reshape(-1, 2), axis=0, return_inverse=True)
    quads = index.reshape(-1, 4)
    triangles = quads[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3)
    triangles = triangles[triangles[:, 1] != triangles[:, 2]]  # a triangle repeats its last corner
    uv = data["uv"].astype(np.float32)[corners[:, 1]]
    return Part(
        name=name,
        kind=kind,
        ref=data["ref"].astype(np.int64),
        weight=weight,
        offset=data["offset"].astype(np.float32),
        scale_ref=data["scale_ref"].astype(np.int64),
        scale_div=data["scale_div"].astype(np.float32),
        triangles=triangles.astype(np.int32),
        corner_vertex=corners[:, 0],
        corner_uv=np.stack([uv[:, 0], 1 - uv[:, 1]], axis=1),
        texture_rgba=_image(texture),
    )


def _environments(
    path: Path, rows: dict[str, dict[str, str]], used: dict[str, dict[str, str]]
) -> dict[str, NDArray[np.float32]]:
    maps = {}
    try:
        with np.load(path, allow_pickle=False) as file:
            for name in file.files:
                member = f"{path.name}#{name}"
                if member not in rows:
                    raise DatasetError(f"licences.csv has no row for {member}; add one")
                used[member] = rows[member]
                light = file[name].astype(np.float32)
                maps[name] = light / light.mean()
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise DatasetError(f"{path} cannot be read ({error}); copy the assets again") from error
    return maps
