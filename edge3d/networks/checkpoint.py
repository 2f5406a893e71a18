"""Checkpoints: safetensors with the contract inside; nothing is ever unpickled."""

from __future__ import annotations

import re
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from edge3d.errors import ContractError, OutputError
from edge3d.io.files import atomic_path
from edge3d.model.contract import METADATA_KEY, ModelContract
from edge3d.networks.registry import is_teacher, make_network

PART_BYTES = 19_000_000


def save_checkpoint(path: str | Path, network: nn.Module, contract: ModelContract) -> None:
    """Write a network's weights and its contract, whole or not at all.

    Raises:
        OutputError: the file cannot be written.
    """
    write_safetensors(path, network.state_dict(), {METADATA_KEY: contract.to_json()})


def load_checkpoint(path: str | Path) -> tuple[nn.Module, ModelContract]:
    """Read a student or a teacher, ready for inference, and its contract.

    Raises:
        ContractError: no such file, not safetensors, no contract, or other weights than the
            architecture that the contract names.
    """
    tensors, metadata = read_safetensors(path)
    if METADATA_KEY not in metadata:
        raise ContractError(
            f"{path}: has no contract (metadata key '{METADATA_KEY}'); it is not an edge3d "
            "checkpoint, train one with `edge3d train`"
        )
    contract = ModelContract.from_json(metadata[METADATA_KEY], str(path))
    try:
        network = make_network(contract.architecture, contract.layout.size)
        network.load_state_dict(tensors)
    except (ValueError, RuntimeError) as error:
        raise ContractError(
            f"{path}: field architecture is '{contract.architecture}', but the weights are not "
            f"its ({str(error).splitlines()[0]}); use the edge3d version that wrote it"
        ) from error
    return network.eval(), contract


def split_checkpoint(path: str | Path, folder: str | Path) -> list[Path]:
    """Write a checkpoint's weights in half precision, in files of less than 20 MB.

    Any of the files can be given where a checkpoint is wanted; the others lie beside it.

    Args:
        path: of the checkpoint. folder: for `NAME-1-of-3.safetensors` and so on.

    Returns:
        The files.

    Raises:
        ContractError: as `load_checkpoint`. OutputError: a file cannot be written.
    """
    load_checkpoint(path)  # it is whole
    tensors, metadata = read_safetensors(path)
    parts: list[dict[str, Tensor]] = [{}]
    size = 0
    for name, value in tensors.items():
        value = value.half() if value.is_floating_point() else value
        if size + value.nbytes > PART_BYTES:
            parts.append({})
            size = 0
        parts[-1][name] = value
        size += value.nbytes
    files = []
    for number, part in enumerate(parts, 1):
        file = Path(folder) / f"{Path(path).stem}-{number}-of-{len(parts)}.safetensors"
        write_safetensors(file, part, metadata)
        files.append(file)
    return files


def load_student(path: str | Path) -> tuple[nn.Module, ModelContract]:
    """Read a network that needs the picture alone; see `load_checkpoint`.

    Raises:
        ContractError: as `load_checkpoint`, or it is a teacher.
    """
    network, contract = load_checkpoint(path)
    if is_teacher(contract.architecture):
        raise ContractError(
            f"{path}: is a teacher, which needs 2D landmarks beside the picture; use a student, or "
            "measure the teacher by `edge3d evaluate --landmarks`"
        )
    return network, contract


def read_safetensors(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors and metadata of a safetensors file, or of all the files of a split one.

    Raises:
        ContractError: no such file, or not a whole safetensors file; the message names it.
    """
    tensors: dict[str, Tensor] = {}
    metadata: dict[str, str] = {}
    for part in _parts_of(Path(path)):
        if not part.is_file():
            raise ContractError(f"{part}: no such file; give a checkpoint (.safetensors)")
        try:
            with safe_open(part, framework="pt") as file:
                tensors |= {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                metadata = file.metadata() or {}
        except (SafetensorError, OSError) as error:
            raise ContractError(
                f"{part}: not a safetensors file, or cut off ({error}); copy or train it again"
            ) from error
    return tensors, metadata


def _parts_of(path: Path) -> list[Path]:
    """Return all the files of a checkpoint that was split, or the path itself."""
    found = re.fullmatch(r"(.+)-\d+-of-(\d+)\.safetensors", path.name)
    if not found:
        return [path]
    stem, count = found[1], int(found[2])
    return [path.with_name(f"{stem}-{n}-of-{count}.safetensors") for n in range(1, count + 1)]


def write_safetensors(
    path: str | Path, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None
) -> None:
    """Write tensors from any device; each gets memory of its own, as the format wants."""
    own = {name: value.detach().cpu().clone().contiguous() for name, value in tensors.items()}
    with atomic_path(path) as temporary:
        try:
            save_file(own, temporary, metadata=metadata)
        except SafetensorError as error:
            raise OutputError(
                f"cannot write {path}: {error}; choose a folder that is writable and has space"
            ) from error
