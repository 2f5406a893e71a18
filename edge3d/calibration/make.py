"""Making a calibration set as a recipe says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edge3d.calibration.calibration_set import write_calibration_set
from edge3d.calibration.recipe import CalibrationSection
from edge3d.calibration.sources import faces_of_aflw, faces_of_images, synthetic_faces
from edge3d.calibration.spread import FEATURES, choose_spread, crop_features
from edge3d.geometry.pose import angles_from_rotation
from edge3d.reconstruct.reconstructor import FaceReconstructor


def make_calibration_set(
    out: Path, settings: CalibrationSection, progress: Callable[[int, int], None] | None = None
) -> int:
    """Choose crops of a source and write them as a set; return the number of faces found.

    Args:
        out: the set's folder, which is made. settings: of a recipe.
        progress: called with faces done and in all.

    Raises:
        DatasetError: the source is not there, or has fewer faces than `settings.count`.
        MissingExtraError: what the source needs is not installed.
        OutputError: the folder cannot be written.
    """
    reconstructor = FaceReconstructor()
    kind, colon, folder = settings.source.partition(":")
    if settings.source == "synthetic":
        faces = synthetic_faces(settings.pool, progress)
    elif colon and kind == "aflw":
        faces = faces_of_aflw(folder, settings.pool)
    else:
        faces = faces_of_images(settings.source, settings.pool, reconstructor, progress)
    params = reconstructor.decoder.params(reconstructor.runner(faces.crops))
    angles = angles_from_rotation(reconstructor.decoder.rotation_and_scale(params)[0])
    features = crop_features(faces.crops, (angles[0], angles[1]))
    columns = [FEATURES.index(name) for name in settings.spread]
    rows = choose_spread(features[:, columns], settings.count)
    names = [faces.names[row] for row in rows]
    write_calibration_set(
        out, faces.crops[rows], names, features[rows], faces.source, faces.licence
    )
    return len(faces.crops)
