"""Writing files so that a reader never sees half of one."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from edge3d.errors import OutputError


@contextmanager
def atomic_path(path: str | Path, companions: Sequence[str] = ()) -> Iterator[Path]:
    """Yield a temporary path beside `path`, renamed to it when the block ends well.

    The temporary file has the same suffix, so that writers which look at it work. On an
    exception it is deleted and an older file at `path` is left as it was. The folder is made.

    Args:
        path: of the file.
        companions: suffixes of files that are written beside it under the same name, and go with
            it; they are renamed first.

    Raises:
        OutputError: the folder cannot be made or written to, or the disk is full.
    """
    path = Path(path)
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent
        )
        os.close(handle)
        temporary = Path(name)
        yield temporary
        # mkstemp makes private files; a result has the permissions of any other new file.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        for suffix in companions:
            temporary.with_suffix(suffix).replace(path.with_suffix(suffix))
        temporary.replace(path)
        temporary = None
    except OSError as error:
        raise OutputError(
            f"cannot write {path}: {error.strerror or error}; choose a folder that exists, "
            "is writable and has space"
        ) from error
    finally:
        if temporary is not None:
            for suffix in (temporary.suffix, *companions):
                temporary.with_suffix(suffix).unlink(missing_ok=True)


def sha256_of_file(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()
