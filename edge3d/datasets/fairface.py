"""FairFace photographs (CC BY 4.0): upright faces at a known place.

A folder with `train_N.jpg` (224 x 224 px) and `wide_N.jpg` (448 x 448 px, the validation part with
a wide margin), and an `index.csv` that names the usable ones with FairFace's own age, gender and
race. Other columns are not read.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge3d.datasets.labels.face_square import FaceSquare
from edge3d.datasets.labels.photo_labels import Photo
from edge3d.errors import DatasetError

PARTS = {"wide": "val", "train": "train"}  # prefixes of files, and of names in the index
ORDER_SEED = 0
RECORD: dict[str, Any] = {
    "name": "FairFace",
    "source": "https://github.com/joojs/fairface",
    "licence": "CC-BY-4.0",
    "attribution": (
        "FairFace by Kimmo Karkkainen and Jungseock Joo, licensed under CC BY 4.0 "
        "(https://creativecommons.org/licenses/by/4.0/), https://github.com/joojs/fairface. "
        'K. Karkkainen and J. Joo, "FairFace: Face Attribute Dataset for Balanced Race, Gender, '
        'and Age for Bias Measurement and Mitigation", WACV 2021, pp. 1548-1558.'
    ),
}
# A 224 px photograph shows the middle 192 px of the 448 px one.
WIDE_SQUARE = FaceSquare((223.5, 233.5), 260.0)
NARROW_SQUARE = FaceSquare((111.5, (233.5 - 127.5) * 224 / 192 - 0.5), 260.0 * 224 / 192)


@dataclass(frozen=True)
class FairFacePerson:
    """A photograph's name in the index, and FairFace's votes of appearance."""

    name: str
    age: str
    gender: str
    race: str


def read_index(path: str | Path) -> list[FairFacePerson]:
    """Read `index.csv`: a line for each usable photograph, copies of others left out.

    Raises:
        DatasetError: it cannot be read or lacks a column.
    """
    try:
        with open(path, newline="") as file:
            return [
                FairFacePerson(row["name"], row["age"], row["gender"], row["race"])
                for row in csv.DictReader(file)
            ]
    except (OSError, KeyError, csv.Error) as error:
        raise DatasetError(
            f"{path} is not FairFace's index ({error!r}); it needs the columns name, age, "
            "gender and race"
        ) from error


def fairface_photos(folder: str | Path, people: Sequence[FairFacePerson], part: str) -> list[Photo]:
    """Return the photographs of a part in a fixed random order.

    The order makes the photographs that an interrupted run has labelled a fair sample.

    Args:
        folder: with `train_N.jpg` and `wide_N.jpg`. people: of the index.
        part: "wide" or "train".

    Raises:
        DatasetError: no photograph of that part is in the folder.
    """
    folder, square = Path(folder), WIDE_SQUARE if part == "wide" else NARROW_SQUARE
    source = PARTS[part]
    names = [p.name.replace(source, part) for p in people if p.name.startswith(f"{source}_")]
    order = np.random.default_rng(ORDER_SEED).permutation(len(names))
    photos = [Photo(names[row], folder / f"{names[row]}.jpg", square) for row in order]
    if not any(photo.path.is_file() for photo in photos):
        raise DatasetError(f"{folder} holds no {part}_N.jpg of the index; unpack FairFace there")
    return photos
