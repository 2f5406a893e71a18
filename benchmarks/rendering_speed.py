"""How many training faces one core renders in a second, by stage.

    python -m benchmarks.rendering_speed --assets FOLDER [--count 256]

Time is the process's own processor time, so that what else runs on the machine counts little;
OpenCV, BLAS and Mesa are held to one thread.
"""

from __future__ import annotations

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", LP_NUM_THREADS="0")

import argparse
import time

import cv2

from edge3d.datasets.synthetic.rendered import BLOCK, RenderedFaces
from edge3d.face_model import load_face_model


def main() -> None:
    """Print faces a second."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--assets", required=True, help="folder of skins, hair and light")
    parser.add_argument("--photographs", help="folder of photographs for backgrounds")
    parser.add_argument("--count", type=int, default=256)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    faces = RenderedFaces(load_face_model("open"), options.assets, photographs=options.photographs)
    for number in range(BLOCK):  # compiles programs
        faces.sample(number)
    busy, wall = time.process_time(), time.perf_counter()
    for number in range(BLOCK, BLOCK + options.count):
        faces.crop(faces.sample(number))
    busy, wall = time.process_time() - busy, time.perf_counter() - wall
    print(
        f"{options.count} faces of {faces.size} px: {options.count / busy:.1f} a second of one "
        f"core's time ({1000 * busy / options.count:.1f} ms each), {options.count / wall:.1f} a "
        "second on the clock"
    )


if __name__ == "__main__":
    main()
