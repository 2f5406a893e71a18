"""End to end through the command line, on real input and on what users get wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

import edge3d
from edge3d.bundled import default_checkpoint_path, default_model_path, portrait_path
from edge3d.io.image import read_image, write_image

Command = Callable[..., "object"]


def test_a_portrait_becomes_all_kinds_of_results(edge3d_command: Command, tmp_path: Path) -> None:
    kinds = "overlay,landmarks,mesh,pose,json,obj,ply,glb,depth"
    done = edge3d_command("reconstruct", portrait_path(), "--out", tmp_path, "--save", kinds)
    assert done.returncode == 0, done.stderr
    assert "1 face in 1 picture" in done.stdout
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {
        *(f"portrait_{kind}.jpg" for kind in ("overlay", "landmarks", "mesh", "pose")),
        *(f"portrait_face0.{suffix}" for suffix in ("obj", "ply", "glb")),
        "portrait_depth.png",
        "portrait.json",
    }
    content = json.loads((tmp_path / "portrait.json").read_text())
    (face,) = content["faces"]
    landmarks = np.array(face["landmarks_px"])
    assert landmarks.shape == (68, 3)
    # The eyes of the astronaut are near (205, 105) and (247, 103) in this picture.
    np.testing.assert_allclose(landmarks[36:42, :2].mean(axis=0), (205, 105), atol=8)
    np.testing.assert_allclose(landmarks[42:48, :2].mean(axis=0), (247, 103), atol=8)
    assert abs(face["pose"]["yaw_deg"]) < 20 and abs(face["pose"]["roll_deg"]) < 12
    assert len(face["blendshapes"]) == 51
    overlay, photo = read_image(tmp_path / "portrait_overlay.jpg"), read_image(portrait_path())
    changed = abs(overlay.astype(int) - photo).sum(axis=2) > 60
    y, x = np.nonzero(changed)
    assert 150 < x.mean() < 300 and 50 < y.mean() < 180  # the face is drawn over, nothing else
    assert changed.mean() < 0.15


def test_a_folder_run_carries_on_past_bad_files(edge3d_command: Command, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    portrait = read_image(portrait_path())
    write_image(folder / "good.png", portrait)
    write_image(folder / "nobody.png", np.full((200, 300, 3), 90, np.uint8))
    write_image(folder / "one.png", np.zeros((1, 1, 3), np.uint8))
    cv2.imwrite(str(folder / "deep.png"), portrait[..., ::-1].astype(np.uint16) * 257)
    cv2.imwrite(str(folder / "grey.png"), cv2.cvtColor(portrait, cv2.COLOR_RGB2GRAY))
    alpha = np.dstack([portrait[..., ::-1], np.full((512, 512), 255, np.uint8)])
    cv2.imwrite(str(folder / "alpha.png"), alpha)
    (folder / "text.jpg").write_text("this is no picture")
    (folder / "cut.jpg").write_bytes(portrait_path().read_bytes()[:30_000])
    (folder / "notes.txt").write_text("left alone")
    done = edge3d_command("reconstruct", folder, "--out", tmp_path / "out", "--save", "json")
    assert done.returncode == 1
    faces = {
        path.stem: len(json.loads(path.read_text())["faces"])
        for path in (tmp_path / "out").glob("*.json")
    }
    assert faces == {"good": 1, "nobody": 0, "one": 0, "deep": 1, "grey": 1, "alpha": 1}
    assert "2 could not be read" in done.stderr
    assert "text.jpg" in done.stderr and "cut.jpg" in done.stderr
    assert "no face found" in done.stderr + done.stdout


def test_pictures_of_one_name_do_not_overwrite_each_other(
    edge3d_command: Command, tmp_path: Path
) -> None:
    portrait = read_image(portrait_path())
    write_image(tmp_path / "a.png", portrait)
    write_image(tmp_path / "a.jpg", portrait)
    done = edge3d_command("reconstruct", tmp_path, "--out", tmp_path / "out", "--save", "json")
    assert done.returncode == 0, done.stderr
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"a-jpg.json", "a-png.json"}


def failing(command: Command, *arguments: object) -> str:
    """Run a command that must fail; return its message, free of line breaks."""
    done = command(*arguments)
    assert done.returncode == 2, (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    return " ".join(done.stderr.split())


def test_an_empty_folder_is_told(edge3d_command: Command, tmp_path: Path) -> None:
    message = failing(edge3d_command, "reconstruct", tmp_path)
    assert str(tmp_path) in message and "picture" in message


def test_a_missing_picture_is_told(edge3d_command: Command, tmp_path: Path) -> None:
    done = edge3d_command("reconstruct", tmp_path / "gone.jpg", "--out", tmp_path)
    assert done.returncode == 1
    assert "gone.jpg" in done.stderr


def test_an_unknown_kind_of_result_is_told(edge3d_command: Command) -> None:
    message = failing(edge3d_command, "reconstruct", portrait_path(), "--save", "overlay,stl")
    assert "stl cannot be saved" in message and "glb" in message


def test_an_unwritable_folder_is_told(edge3d_command: Command, tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where a folder should be")
    message = failing(edge3d_command, "reconstruct", portrait_path(), "--out", blocked)
    assert "cannot write" in message and "blocked" in message


def test_a_model_without_contract_is_told(edge3d_command: Command, tmp_path: Path) -> None:
    detector = next((default_model_path().parent / "detector").glob("*.tflite"))
    message = failing(edge3d_command, "reconstruct", portrait_path(), "--model", detector)
    assert detector.name in message and "contract" in message
    assert "contract" in failing(edge3d_command, "info", detector)


def test_a_wrong_face_model_is_told(edge3d_command: Command, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez(
        tmp_path / "bfm62.npz",
        mean_shape=rng.normal(0, 5e4, (90, 3)),
        shape_basis=rng.normal(0, 1, (90, 3, 40)),
        expression_basis=rng.normal(0, 1, (90, 3, 10)),
        triangles=rng.integers(0, 90, (50, 3)),
        landmarks68=np.arange(68),
    )
    out = tmp_path / "other.npz"
    done = edge3d_command("face-model", "import", tmp_path / "bfm62.npz", "--out", out)
    assert done.returncode == 0, done.stderr
    assert "90 vertices" in edge3d_command("face-model", "info", out).stdout
    message = failing(edge3d_command, "reconstruct", portrait_path(), "--face-model", out)
    assert "face_model.sha256" in message


@pytest.mark.parametrize("path", [default_model_path(), default_checkpoint_path()])
def test_info_prints_the_contract(edge3d_command: Command, path: Path) -> None:
    done = edge3d_command("info", path)
    assert done.returncode == 0, done.stderr
    assert "student-050" in done.stdout and "landmarks68-square" in done.stdout
    content = json.loads(edge3d_command("info", path, "--json").stdout)
    assert content["architecture"] == "student-050" and content["schema"] == 1


@pytest.mark.parametrize(
    "arguments",
    [(), ("reconstruct",), ("info",), ("evaluate",), ("export",), ("train", "student")]
    + [("face-model", name) for name in ("build", "import", "info")],
)
def test_help_fits_eighty_columns(edge3d_command: Command, arguments: tuple[str, ...]) -> None:
    done = edge3d_command(*arguments, "--help")
    assert done.returncode == 0
    assert "Usage" in done.stdout
    assert max(len(line) for line in done.stdout.splitlines()) <= 80


def test_no_arguments_greet_with_five_commands(edge3d_command: Command) -> None:
    done = edge3d_command()
    assert done.returncode == 0, done.stderr
    for name in ("demo", "reconstruct", "track", "export", "train student"):
        assert f"edge3d {name}" in done.stdout
    assert max(len(line) for line in done.stdout.splitlines()) <= 80


def test_export_refuses_options_that_do_not_apply(edge3d_command: Command) -> None:
    pytest.importorskip("torch", reason="export needs PyTorch")
    message = failing(edge3d_command, "export", "--target", "web", "--output", "landmarks")
    assert "--output landmarks" in message
    message = failing(edge3d_command, "export", "--profile", "ios", "--target", "onnx")
    assert "--profile ios sets --target" in message


def test_a_profile_exports(edge3d_command: Command, tmp_path: Path) -> None:
    pytest.importorskip("litert_torch", reason="export to TFLite needs the extra export")
    own = tmp_path / "own.toml"
    own.write_text("[export]\ntargets = ['tflite']\n[runtime]\nthreads = 3\n")
    done = edge3d_command("export", "--profile", own, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    content = json.loads(
        edge3d_command("info", tmp_path / "student-050-fp32.tflite", "--json").stdout
    )
    made_by = content["provenance"]["export"]
    assert made_by["runtime"] == {"threads": 3, "options": {}}
    assert made_by["within_parity_budget"] is True


def test_version(edge3d_command: Command) -> None:
    assert edge3d_command("--version").stdout.strip() == f"edge3d {edge3d.__version__}"


def test_a_hundred_megapixels_work(edge3d_command: Command, tmp_path: Path) -> None:
    portrait = read_image(portrait_path())
    write_image(tmp_path / "huge.jpg", cv2.resize(portrait, (10_000, 10_000)))
    done = edge3d_command("reconstruct", tmp_path / "huge.jpg", "--out", tmp_path, "--save", "json")
    assert done.returncode == 0, done.stderr
    (face,) = json.loads((tmp_path / "huge.json").read_text())["faces"]
    eye = np.array(face["landmarks_px"])[36:42, :2].mean(axis=0) / 10_000 * 512
    np.testing.assert_allclose(eye, (205, 105), atol=8)


def test_the_command_starts_with_the_extra_cli_alone() -> None:
    script = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "onnx", "onnxruntime", "scipy", "safetensors",
                                  "litert_torch", "openvino", "accelerate", "moderngl", "nncf"}:
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Refuse())
import edge3d.cli.app
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
