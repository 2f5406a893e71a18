"""`edge3d track`: a video or a camera in, faces frame by frame out."""

from __future__ import annotations

import contextlib
import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Annotated, Any

import cv2
import numpy as np
import typer
from numpy.typing import NDArray
from rich.markup import escape

from edge3d import render
from edge3d.cli import console
from edge3d.cli.reconstruct import draw_overlay, face_to_dict
from edge3d.errors import Edge3dError, VideoError
from edge3d.files import atomic_path
from edge3d.reconstructor import FaceReconstructor
from edge3d.tracker import FaceTracker, Smoothing, TrackedFace
from edge3d.tracker.osc import AvatarSender
from edge3d.video import VideoFile, VideoWriter, open_source

KINDS = ("overlay", "jsonl", "csv")
WINDOW = "edge3d track (q ends)"


def track(
    source: Annotated[
        str, typer.Argument(metavar="VIDEO|CAMERA", help="Video file, or a camera's number.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the results; it is made.")] = Path(
        "runs/track"
    ),
    save: Annotated[
        str, typer.Option(help="What to write, by commas: overlay, jsonl, csv; or none.")
    ] = "overlay,jsonl,csv",
    model: Annotated[
        Path | None, typer.Option(help="Model file; the bundled student if not given.")
    ] = None,
    smooth: Annotated[bool, typer.Option(help="Smooth faces over time.")] = True,
    max_faces: Annotated[int, typer.Option(min=1, help="At most so many are followed.")] = 4,
    max_frames: Annotated[
        int | None, typer.Option(min=1, help="Stop after so many frames.")
    ] = None,
    osc: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT", help="Send the first face to an avatar program (VMC over OSC)."
        ),
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="Show the overlay in a window.")] = False,
    threads: Annotated[int, typer.Option(min=1, help="Threads of the network.")] = 1,
) -> None:
    """Follow the faces of a video or a camera: overlay video, JSON lines, CSV, live avatar."""
    kinds = _kinds(save)
    sender = None if osc is None else AvatarSender(osc)
    frames = open_source(source)
    reconstructor = FaceReconstructor(model, threads=threads)
    tracker = FaceTracker(reconstructor, Smoothing() if smooth else None, max_faces)
    total = frames.announced if max_frames is None else min(max_frames, frames.announced or 1 << 30)
    stopped = False
    with contextlib.ExitStack() as stack:
        stack.callback(frames.close)
        writers = [stack.enter_context(_WRITERS[kind](out, reconstructor, frames.fps))
                   for kind in kinds]  # fmt: skip
        bar = stack.enter_context(console.progress_bar("tracking", total))
        try:
            for time_s, image in frames:
                faces = tracker.update(image, time_s)
                picture = None
                if show or "overlay" in kinds:
                    picture = draw_tracked(reconstructor, image, faces)
                for writer in writers:
                    writer.write(frames.read - 1, time_s, faces, picture)
                if sender is not None and faces:
                    sender.send(faces[0].face)
                bar.update(bar.task_ids[0], completed=frames.read, total=total or None)
                if frames.read == max_frames or (show and _window_closed(picture)):
                    break
        except KeyboardInterrupt:  # what is there is finished and kept
            stopped = True
    counts = tracker.counts
    console.out.print(
        f"{counts.frames} frames, faces: {tracker.faces_seen}; the detector searched "
        f"{counts.searches} frames; results are in {escape(str(out))}"
    )
    if isinstance(frames, VideoFile) and frames.missing and not stopped and max_frames is None:
        console.err.print(
            f"[bold red]cut off:[/] {escape(source)} announces {frames.announced} frames, "
            f"{frames.read} could be read"
        )
        raise typer.Exit(1)
    if stopped:
        raise typer.Exit(130)


def draw_tracked(
    reconstructor: FaceReconstructor, image: NDArray[np.uint8], faces: list[TrackedFace]
) -> NDArray[np.uint8]:
    """Return a frame with meshes, landmarks and the faces' numbers, the farthest first."""
    picture = image
    for tracked in sorted(faces, key=lambda tracked: tracked.face.pose.scale_px):
        picture = draw_overlay(reconstructor, picture, tracked.face)
        picture = render.draw_landmarks(picture, tracked.face.landmarks_px)
        x, y = tracked.face.landmarks_px[:, :2].min(axis=0)
        place, font = (int(x), max(12, int(y) - 8)), cv2.FONT_HERSHEY_SIMPLEX
        picture = np.ascontiguousarray(picture)
        cv2.putText(picture, f"{tracked.id}", place, font, 0.6, (255, 255, 255), 2, cv2.LINE_AA)
    return picture


def tracked_to_dict(tracked: TrackedFace) -> dict[str, Any]:
    """Return what a JSON line says of a face: that of `edge3d reconstruct`, and who it is."""
    return {"id": tracked.id, "detected": tracked.detected, **face_to_dict(tracked.face)}


class _Overlay:
    def __init__(self, path: Path, _: FaceReconstructor, fps: float) -> None:
        self._video = VideoWriter(path, fps)

    def write(
        self, _number: int, _time_s: float, _faces: list[TrackedFace],
        picture: NDArray[np.uint8] | None,
    ) -> None:  # fmt: skip
        assert picture is not None
        self._video.write(picture)

    def close(self) -> None:
        self._video.close()


class _JsonLines:
    def __init__(self, path: Path, _: FaceReconstructor, __: float) -> None:
        self._file: IO[str] = open(path, "w", encoding="utf-8")  # noqa: SIM115 - see close

    def write(self, number: int, time_s: float, faces: list[TrackedFace], _: object) -> None:
        content = [tracked_to_dict(tracked) for tracked in faces]
        row = {"frame": number, "time_s": round(time_s, 6), "faces": content}
        self._file.write(json.dumps(row) + "\n")

    def close(self) -> None:
        self._file.close()


class _Csv:
    def __init__(self, path: Path, reconstructor: FaceReconstructor, _: float) -> None:
        self._file: IO[str] = open(path, "w", encoding="utf-8", newline="")  # noqa: SIM115
        self._names = reconstructor.face_model.expression_names
        self._rows = csv.writer(self._file, lineterminator="\n")
        points = [f"{axis}{number}" for number in range(68) for axis in "xyz"]
        pose = ["yaw_deg", "pitch_deg", "roll_deg", "translation_x", "translation_y", "scale"]
        self._rows.writerow(["frame", "time_s", "id", *pose, *self._names, *points])

    def write(self, number: int, time_s: float, faces: list[TrackedFace], _: object) -> None:
        for tracked in faces:
            content = face_to_dict(tracked.face)
            pose = content["pose"]
            angles = [pose[f"{name}_deg"] for name in ("yaw", "pitch", "roll")]
            shapes = [content["blendshapes"][name] for name in self._names]
            points = [value for point in content["landmarks_px"] for value in point]
            place = [*pose["translation_px"], pose["scale_px"]]
            start = [number, round(time_s, 6), tracked.id]
            self._rows.writerow([*start, *angles, *place, *shapes, *points])

    def close(self) -> None:
        self._file.close()


@contextlib.contextmanager
def _writer(
    kind: type[_Overlay | _JsonLines | _Csv], name: str, out: Path,
    reconstructor: FaceReconstructor, fps: float,
) -> Iterator[_Overlay | _JsonLines | _Csv]:  # fmt: skip
    with atomic_path(out / name) as temporary:
        writer = kind(temporary, reconstructor, fps)
        try:
            yield writer
        finally:
            writer.close()


_WRITERS = {
    "overlay": lambda *rest: _writer(_Overlay, "overlay.mp4", *rest),
    "jsonl": lambda *rest: _writer(_JsonLines, "faces.jsonl", *rest),
    "csv": lambda *rest: _writer(_Csv, "faces.csv", *rest),
}


def _kinds(text: str) -> tuple[str, ...]:
    if text.strip() == "none":
        return ()
    kinds = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown or not kinds:
        raise Edge3dError(
            f"--save {text}: {', '.join(unknown) or 'nothing'} cannot be saved; choose from "
            f"{', '.join(KINDS)}, or none"
        )
    return kinds


def _window_closed(picture: NDArray[np.uint8] | None) -> bool:
    assert picture is not None
    try:
        cv2.imshow(WINDOW, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        return cv2.waitKey(1) & 0xFF in (ord("q"), 27)
    except cv2.error as error:
        raise VideoError(
            "--show: this OpenCV has no windows, or there is no display; install opencv-python in "
            "place of opencv-python-headless, or leave --show out"
        ) from error
