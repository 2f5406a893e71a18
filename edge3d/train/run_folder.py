"""A run's folder: one run at a time, resumed with the settings that it was made with."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from edge3d.errors import OutputError, RecipeError
from edge3d.io.files import sha256_of_file
from edge3d.networks.registry import is_teacher
from edge3d.train.recipe import Recipe

# What may change when a run is resumed: how long it goes on, and what has no effect on its result.
MAY_CHANGE = (
    "train.steps",
    "train.log_every",
    "train.save_every",
    "train.threads",
    "data.workers",
    "data.cache",
)
# Of these paths only the last name counts, so that data may move; of checkpoints the content too.
PATHS = (
    "data.aflw",
    "data.w300lp",
    "data.folder",
    "data.bfm",
    "data.face_mesh",
    "data.assets",
    "data.photographs",
)
CHECKPOINTS = ("model.init", "model.teacher", "data.relabel")
LOCK_FILE = "run.lock"
STATE_FILE = "state.safetensors"
METRICS_FILE = "metrics.jsonl"


def checkpoint_name(recipe: Recipe) -> str:
    """Return the name of the file with a run's weights."""
    return "teacher.safetensors" if is_teacher(recipe.model.name) else "student.safetensors"


def run_settings(recipe: Recipe) -> dict[str, Any]:
    """Return what must not change on resume, as `section.key` to a value that JSON keeps."""
    settings = {
        f"{section}.{key}": value
        for section, values in recipe.model_dump(mode="json").items()
        for key, value in values.items()
        if f"{section}.{key}" not in MAY_CHANGE
    }
    for key in (*PATHS, *CHECKPOINTS):
        path = Path(settings[key])
        settings[key] = path.name
        if key in CHECKPOINTS and path.is_file():
            settings[key] += f" (SHA-256 {sha256_of_file(path)[:12]})"
    return settings


def check_settings(before: Mapping[str, Any], now: Mapping[str, Any], out: Path) -> None:
    """Refuse to resume a run with other settings than it was made with.

    Raises:
        RecipeError: names the keys that differ, with both values.
    """
    differing = [
        f"{key} was {json.dumps(before.get(key))}, is {json.dumps(now.get(key))}"
        for key in dict.fromkeys((*before, *now))
        if before.get(key) != now.get(key)
    ]
    if differing:
        raise RecipeError(
            f"{out} holds a run with other settings: {'; '.join(differing)}; choose another --out, "
            "or the settings of that run"
        )


@contextmanager
def run_lock(out: Path) -> Iterator[None]:
    """Hold a run's folder; the operating system lets go of it when the process ends, however.

    The folder is made where there is none.

    Raises:
        OutputError: another process holds it, or it cannot be written to.
    """
    path = out / LOCK_FILE
    try:
        out.mkdir(parents=True, exist_ok=True)
        file = open(path, "a+b")  # noqa: SIM115
    except OSError as error:
        raise OutputError(
            f"cannot write to {out}: {error.strerror}; choose a folder that is writable"
        ) from error
    with file:
        try:
            _lock(file)
        except OSError as error:
            raise OutputError(
                f"{out}: another run is training in this folder; wait for it to end, or choose "
                "another --out"
            ) from error
        yield


if sys.platform == "win32":
    import msvcrt

    def _lock(file: IO[bytes]) -> None:
        os.lseek(file.fileno(), 0, os.SEEK_SET)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(file: IO[bytes]) -> None:
        # Not flock: its locks live on in the data loader's processes after a run is killed.
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
