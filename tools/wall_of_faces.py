"""Writes a wall of rendered faces: `docs/rendered-faces.jpg`, or another one to look at.

python -m tools.wall_of_faces --assets FOLDER
python -m tools.wall_of_faces --assets FOLDER --count 20 --columns 5 --pixels 320 --out wall.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from edge3d.datasets.synthetic.rendered import RenderedFaces
from edge3d.face_model import load_face_model

OUT = Path(__file__).parents[1] / "docs" / "rendered-faces.jpg"


def main() -> None:
    """Render the wall."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--assets", required=True, help="folder of skins, hair and light")
    parser.add_argument("--photographs", help="folder of photographs for backgrounds")
    parser.add_argument("--count", type=int, default=96)
    parser.add_argument("--columns", type=int, default=12)
    parser.add_argument("--pixels", type=int, default=120, help="side of a face's crop")
    parser.add_argument("--first", type=int, default=0, help="number of the first face")
    parser.add_argument("--marks", action="store_true", help="draw landmarks, hidden ones red")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    face_size = max(160, round(options.pixels * 4 / 3))
    faces = RenderedFaces(
        load_face_model("open"),
        options.assets,
        size=round(1.2 * face_size / 2) * 2,
        face_size=face_size,
        seed=1,
        photographs=options.photographs,
    )
    tiles = []
    for number in range(options.first, options.first + options.count):
        sample = faces.sample(number)
        tile, _, landmarks = faces.crop(sample, options.pixels)
        for mark, seen in zip(landmarks, sample.visible, strict=True) if options.marks else ():
            at = tuple(round(float(value)) for value in mark[:2])
            cv2.circle(tile, at, 1, (0, 230, 0) if seen else (230, 0, 0), cv2.FILLED)
        tiles.append(tile)
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % options.columns)
    rows = [
        np.concatenate(tiles[start : start + options.columns], axis=1)
        for start in range(0, len(tiles), options.columns)
    ]
    wall = cv2.cvtColor(np.concatenate(rows), cv2.COLOR_RGB2BGR)
    cv2.imwrite(str(options.out), wall, [cv2.IMWRITE_JPEG_QUALITY, 88])
    print(options.out)


if __name__ == "__main__":
    main()
