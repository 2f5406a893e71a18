"""`edge3d track`: a video or a camera in, faces frame by frame out."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import typer
from numpy.typing import NDArray
from rich.markup import escape

from edge3d.cli import console
from edge3d.errors import VideoError
from edge3d.io.video import VideoFile, open_source
from edge3d.reconstruct.reconstructor import FaceReconstructor
from edge3d.tracker import FaceTracker, Smoothing
from edge3d.tracker.osc import AvatarSender
from edge3d.tracker.writers import WRITERS, draw_tracked, parse_kinds

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
    kinds = parse_kinds(save)
    sender = None if osc is None else AvatarSender(osc)
    frames = open_source(source)
    reconstructor = FaceReconstructor(model, threads=threads)
    tracker = FaceTracker(reconstructor, Smoothing() if smooth else None, max_faces)
    total = frames.announced if max_frames is None else min(max_frames, frames.announced or 1 << 30)
    stopped = False
    with contextlib.ExitStack() as stack:
        stack.callback(frames.close)
        writers = [stack.enter_context(WRITERS[kind](out, reconstructor, frames.fps))
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
