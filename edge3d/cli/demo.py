"""`edge3d demo`: the main job on what ships with the package, with a report to look at."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.markup import escape
from rich.table import Table

import edge3d
from edge3d.bundled import default_checkpoint_path, portrait_path
from edge3d.cli import console
from edge3d.errors import Edge3dError, MissingExtraError
from edge3d.geometry.crop import crop_face
from edge3d.io.image import read_image
from edge3d.reconstruct.reconstructor import FaceReconstructor
from edge3d.reconstruct.savers import save_faces
from edge3d.runtime import RUNNERS
from edge3d.viz.html_report import image_uri, write_page
from edge3d.viz.overlays import close_up

ROUNDS = 40  # timed calls of each file, interleaved
PICTURES = ("overlay", "landmarks", "mesh", "pose", "depth")

MESHES = ("json", "obj", "ply", "glb")


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the results; it is made.")] = Path(
        "runs/demo"
    ),
    threads: Annotated[int, typer.Option(min=1, help="Threads of the networks.")] = 1,
) -> None:
    """Show the whole way: a portrait, its meshes, two exports, parity, times, a report."""
    try:
        from edge3d.export import TARGETS, export_model
    except ModuleNotFoundError as error:
        raise MissingExtraError("the demo", "all", str(error.name)) from error

    image = read_image(portrait_path())
    reconstructor = FaceReconstructor(threads=threads)
    faces = reconstructor.reconstruct(image)
    if not faces:
        raise Edge3dError("no face was found in the bundled portrait; is the package whole?")
    save_faces(reconstructor, image, faces, out, "portrait", PICTURES + MESHES, "portrait.jpg")
    console.out.print(
        f"reconstructed {len(faces)} face{'s' * (len(faces) > 1)} of {portrait_path().name}"
    )

    files: list[dict[str, Any]] = []
    models: dict[str, FaceReconstructor] = {}
    reference = FaceReconstructor(default_checkpoint_path(), threads=threads)
    boxes = [face.box_xyxy.tolist() for face in faces]
    truth = reference.reconstruct(image, boxes=boxes)[0]
    for name in TARGETS:
        with console.err.status(f"exporting {name}"):
            result = export_model(
                default_checkpoint_path(), name, "fp32", out / "export", overwrite=True
            )
        own = FaceReconstructor(result.path, threads=threads)
        models[result.path.name] = own
        face = own.reconstruct(image, boxes=boxes)[0]
        files.append(
            {
                "file": result.path.name,
                "runtime": RUNNERS[result.path.suffix].name,
                "megabytes": result.size_bytes / 1e6,
                "crops": result.parity.n,
                "drift_p99_px": result.parity.landmark_px_p99,
                "drift_max_px": result.parity.landmark_px_max,
                "portrait_drift_px": float(
                    np.linalg.norm(face.landmarks_px - truth.landmarks_px, axis=1).max()
                ),
            }
        )
    with console.err.status("timing"):
        times = _times(models, image, boxes[0])
    for row in files:
        row |= times[row["file"]]
    detector_ms = _median_ms(lambda: reconstructor.detector.detect(image), 10)
    close_ups = out / "close-up"
    near = close_up(image, faces[0].box_xyxy)
    save_faces(
        reconstructor,
        near,
        reconstructor.reconstruct(near),
        close_ups,
        "portrait",
        PICTURES,
        "portrait.jpg",
    )
    page = _write_report(out, reconstructor, faces, files, detector_ms, threads)

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("file", "MB", "drift max, px", "network, ms", "photo to mesh, ms"):
        table.add_column(heading, justify="left" if heading == "file" else "right")
    for row in files:
        table.add_row(
            row["file"],
            f"{row['megabytes']:.2f}",
            f"{row['drift_max_px']:.5f}",
            f"{row['network_ms']:.2f}",
            f"{row['whole_ms']:.2f}",
        )
    console.out.print(table, soft_wrap=False)
    console.out.print(
        f"drift: landmarks against PyTorch over {files[0]['crops']} crops\n"
        f"times: median of {ROUNDS} calls, {threads} thread{'s' * (threads > 1)}; finding the face "
        f"takes {detector_ms:.1f} ms"
    )
    console.out.print(f"look at [bold]{escape(str(page))}[/]")


def _times(
    models: dict[str, FaceReconstructor], image: NDArray[np.uint8], box: list[float]
) -> dict[str, dict[str, float]]:
    """Return median times of the network and of crop + network + dense decode, in ms.

    The files take turns, so that a slow moment of the machine hits all alike.
    """
    crop = crop_face(image, np.array(box)).pixels[None]
    network: dict[str, list[float]] = {name: [] for name in models}
    whole: dict[str, list[float]] = {name: [] for name in models}
    for number in range(ROUNDS + 5):
        for name, model in models.items():
            for times, call in (
                (network[name], lambda model=model: model.runner(crop)),
                (whole[name], lambda model=model: model.reconstruct(image, boxes=[box])),
            ):
                start = time.perf_counter()
                call()
                if number >= 5:  # the first calls warm up
                    times.append(1e3 * (time.perf_counter() - start))
    return {
        name: {
            "network_ms": statistics.median(network[name]),
            "whole_ms": statistics.median(whole[name]),
        }
        for name in models
    }


def _median_ms(call: Callable[[], object], rounds: int) -> float:
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times)


def _write_report(
    out: Path,
    reconstructor: FaceReconstructor,
    faces: list[edge3d.Face],
    files: list[dict[str, Any]],
    detector_ms: float,
    threads: int,
) -> Path:
    pictures = []
    for kind in PICTURES:
        path = next((out / "close-up").glob(f"portrait_{kind}.*"))
        pictures.append({"kind": kind, "uri": image_uri(read_image(path))})
    face = faces[0]
    strongest = sorted(face.blendshapes.items(), key=lambda item: -item[1])[:12]
    page = out / "report.html"
    write_page(
        page,
        "demo.html.j2",
        version=edge3d.__version__,
        pictures=pictures,
        face=face,
        blendshapes=strongest,
        files=files,
        detector_ms=detector_ms,
        threads=threads,
        rounds=ROUNDS,
        model=reconstructor.contract.architecture,
        vertices=len(reconstructor.face_model.mean),
        meshes=sorted(path.name for path in out.glob("portrait_face*")),
    )
    return page
