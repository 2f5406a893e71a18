"""`edge3d calibrate`: choose the crops that int8 files take their ranges from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from edge3d.calibration.calibration_set import write_calibration_set
from edge3d.calibration.sources import faces_of_aflw, faces_of_images, synthetic_faces
from edge3d.calibration.spread import choose_spread, crop_features
from edge3d.cli import console
from edge3d.errors import OutputError
from edge3d.geometry.pose import angles_from_rotation
from edge3d.reconstruct.reconstructor import FaceReconstructor


def calibrate(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE", help="A folder of pictures, aflw:DIR for AFLW crops, or synthetic."
        ),
    ] = "synthetic",
    out: Annotated[Path, typer.Option(help="Folder for the set; it is made.")] = Path(
        "runs/calibration"
    ),
    count: Annotated[int, typer.Option(min=8, help="Crops that are chosen.")] = 64,
    pool: Annotated[int, typer.Option(min=8, help="Faces to choose from, at most.")] = 512,
    overwrite: Annotated[bool, typer.Option(help="Replace a set that exists.")] = False,
) -> None:
    """Choose crops that differ most in pose, brightness, contrast and sharpness."""
    if (out / "manifest.json").exists() and not overwrite:
        raise OutputError(f"{out} holds a set already; use --overwrite, or choose another folder")
    reconstructor = FaceReconstructor()
    kind, colon, folder = source.partition(":")
    with console.progress_bar("faces", pool) as bar:

        def tell(done: int, total: int) -> None:
            bar.update(bar.task_ids[0], completed=done, total=total)

        if source == "synthetic":
            faces = synthetic_faces(pool, tell)
        elif colon and kind == "aflw":
            faces = faces_of_aflw(folder, pool)
        else:
            faces = faces_of_images(source, pool, reconstructor, tell)
    params = reconstructor.decoder.params(reconstructor.runner(faces.crops))
    angles = angles_from_rotation(reconstructor.decoder.rotation_and_scale(params)[0])
    features = crop_features(faces.crops, (angles[0], angles[1]))
    rows = choose_spread(features, count)
    names = [faces.names[row] for row in rows]
    write_calibration_set(
        out, faces.crops[rows], names, features[rows], faces.source, faces.licence
    )
    console.out.print(
        f"{count} of {len(faces.crops)} faces; export with --calibration {escape(str(out))}"
    )
