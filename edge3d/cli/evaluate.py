"""`edge3d evaluate`: accuracy of a model file on AFLW2000-3D."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from edge3d.bundled import default_model_path
from edge3d.cli import console
from edge3d.errors import Edge3dError
from edge3d.evaluate import (
    Aflw2000,
    evaluate_predictions,
    predict,
    predict_with_detector,
)
from edge3d.evaluate.accuracy import Predictions
from edge3d.evaluate.accuracy_report import write_report
from edge3d.evaluate.predict_teacher import predict_teacher, read_detected_landmarks
from edge3d.evaluate.registry import open_dataset
from edge3d.face_model import load_face_model
from edge3d.io.files import atomic_path
from edge3d.metrics import BIN_NAMES, landmark_nme, summarise_nme
from edge3d.model.contract import ModelContract
from edge3d.reconstruct.reconstructor import FaceReconstructor


def evaluate(
    dataset: Annotated[
        str,
        typer.Option(
            metavar="NAME:DIR",
            help="Data set: aflw2000-3d:DIR, the folder with its .jpg and .mat files.",
        ),
    ],
    model: Annotated[
        Path | None, typer.Argument(help="Model file; the bundled student if not given.")
    ] = None,
    json_: Annotated[Path | None, typer.Option("--json", help="Write the numbers here.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write an HTML page here.")] = None,
    face_model: Annotated[
        str | None, typer.Option(help="Name or file of the face model, if not the file's own.")
    ] = None,
    detector: Annotated[
        bool | None,
        typer.Option(
            "--detector/--no-detector",
            help="Measure with the detector's boxes as well. [default: detector]",
        ),
    ] = None,
    landmarks: Annotated[
        Path | None, typer.Option(help="2D landmarks (.npz) for a teacher, see train/README.md.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads of the network. [default: 1]")
    ] = None,
) -> None:
    r"""Measure landmark and head pose errors of a model file.

    Needs the extra: pip install "edge3d\[evaluate]"
    """
    if landmarks is not None:
        for option, given in (("--detector", detector), ("--threads", threads is not None)):
            if given:
                raise Edge3dError(
                    f"{option} does not apply to --landmarks: a teacher is measured in the "
                    "protocol's boxes by PyTorch; leave it out"
                )
    faces = open_dataset(dataset)
    path = model or default_model_path()
    if landmarks is not None:
        _evaluate_teacher(path, faces, landmarks, dataset, face_model, json_, report)
        return
    reconstructor = FaceReconstructor(path, face_model=face_model, threads=threads or 1)
    detector = detector is not False
    passes = 2 if detector else 1
    with console.progress_bar("evaluating", passes * len(faces)) as bar:
        predictions = predict(reconstructor, faces, lambda n: bar.advance(bar.task_ids[0], n))
        result: dict[str, Any] = {"model": path.name, "dataset": dataset.partition(":")[0]}
        result |= evaluate_predictions(faces, predictions)
        if detector:
            own = predict_with_detector(
                reconstructor, faces, lambda n: bar.advance(bar.task_ids[0], n)
            )
            nme = landmark_nme(own.predictions.landmarks_px, faces.landmarks_px)
            result["nme_detector_box"] = {
                **summarise_nme(nme, faces.pose_deg[:, 0]),
                "detected": float(own.detected.mean()),
            }
    _tell(result, reconstructor.contract, faces, predictions, json_, report)


def _evaluate_teacher(
    checkpoint: Path,
    faces: Aflw2000,
    landmarks: Path,
    dataset: str,
    face_model: str | None,
    json_: Path | None,
    report: Path | None,
) -> None:
    detected = read_detected_landmarks(landmarks, faces.names)
    own = load_face_model(face_model) if face_model else None
    with console.progress_bar("evaluating", len(faces)) as bar:
        predictions, contract = predict_teacher(
            checkpoint, faces, detected, own, lambda n: bar.advance(bar.task_ids[0], n)
        )
    result: dict[str, Any] = {"model": checkpoint.name, "dataset": dataset.partition(":")[0]}
    result |= evaluate_predictions(faces, predictions)
    _tell(result, contract, faces, predictions, json_, report)


def _tell(
    result: dict[str, Any],
    contract: ModelContract,
    faces: Aflw2000,
    predictions: Predictions,
    json_: Path | None,
    report: Path | None,
) -> None:
    """Write and print what was measured."""
    if json_ is not None:
        with atomic_path(json_) as temporary:
            temporary.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if report is not None:
        write_report(report, contract, faces, predictions, result)
    _print(result)
    for written in (json_, report):
        if written is not None:
            console.out.print(f"written: {escape(str(written))}")


def _print(result: dict[str, Any]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("NME, %")
    for name in (*BIN_NAMES, "balanced", "all"):
        table.add_column(name, justify="right")
    for title, key in (
        ("original", "nme"),
        ("re-annotated", "nme_reannotated"),
        ("detector's box", "nme_detector_box"),
    ):
        part = result.get(key)
        if part is not None:
            values = [*part["bins"], part["balanced"], part["all"]]
            table.add_row(title, *("-" if v is None else f"{v:.3f}" for v in values))
    console.out.print(table, soft_wrap=False)
    pose = result["pose_mae_deg"]
    if pose["n"]:
        console.out.print(
            f"head pose, mean absolute error in degrees: yaw {pose['yaw']:.2f}, "
            f"pitch {pose['pitch']:.2f}, roll {pose['roll']:.2f}, mean {pose['mean']:.2f}"
        )
    if "nme_detector_box" in result:
        console.out.print(f"detected: {100 * result['nme_detector_box']['detected']:.1f} %")
    console.out.print(f"{result['n']} images; protocol's boxes unless said otherwise")
