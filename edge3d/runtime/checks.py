"""What all runtimes share: the protocol, and the checks of pixels and contracts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge3d.errors import ContractError, shortened
from edge3d.geometry.crop import CROP_SIZE_PX
from edge3d.model.contract import ModelContract, OutputSpec

IMAGE_SHAPE = (CROP_SIZE_PX, CROP_SIZE_PX, 3)
PARAMS = "params"


def check_images(images: NDArray) -> NDArray[np.uint8]:
    """Return images as an array if a runner can take them.

    Raises:
        ValueError: not (B, 120, 120, 3) uint8.
    """
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != IMAGE_SHAPE:
        raise ValueError(
            f"images of shape {images.shape} and type {images.dtype} were given, wanted is "
            f"(B, {CROP_SIZE_PX}, {CROP_SIZE_PX}, 3) uint8 RGB; `edge3d.crop_face` cuts such crops"
        )
    return images


def check_contract(contract: ModelContract, where: str) -> None:
    """Make sure that a contract asks for pixels that a runner can provide.

    Raises:
        ContractError: other pixels than RGB 0..255 of 120 x 120, or no parameters come out.
    """
    image = contract.input
    wanted = {
        "colour": (image.colour, ("RGB",)),
        "layout": (image.layout, ("NHWC", "NCHW")),
        "dtype": (image.dtype, ("uint8", "int8", "float32")),
        "value_range": (tuple(image.value_range), ((0.0, 255.0),)),
        "shape": (tuple(image.shape), (shape_in(image.layout),)),
    }
    for name, (value, supported) in wanted.items():
        if value not in supported:
            known = " or ".join(str(choice) for choice in supported)
            raise ContractError(
                f"{where}: field input.{name} is {value}, supported is {known}; "
                "export the model again with `edge3d export`"
            )
    if PARAMS not in [output.name for output in contract.outputs]:
        raise ContractError(
            f"{where}: field outputs has no '{PARAMS}'; export the model again with `edge3d export`"
        )


def shape_in(layout: str) -> tuple[int, ...]:
    """Return a crop's shape without the batch in a layout, `NHWC` or `NCHW`."""
    return (IMAGE_SHAPE[2], *IMAGE_SHAPE[:2]) if layout == "NCHW" else IMAGE_SHAPE


def in_layout(images: NDArray, layout: str) -> NDArray:
    """Return images (B, H, W, 3) in a layout, `NHWC` or `NCHW`."""
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2)) if layout == "NCHW" else images


def check_graph(
    contract: ModelContract,
    where: str,
    input_shape: Sequence[object],
    input_dtype: str,
    output_shapes: Mapping[str, Sequence[object]],
) -> None:
    """Make sure that a graph is the one its contract describes; batch axes are not looked at.

    Args:
        contract: of the file.
        where: the file, for messages.
        input_shape: of the graph's input.
        input_dtype: of the graph's input, as numpy names it.
        output_shapes: of the graph's outputs, by the contract's names.

    Raises:
        ContractError: they differ; the message names the field.
    """
    found = {"input.shape": tuple(input_shape[1:]), "input.dtype": input_dtype}
    stated: dict[str, object] = {
        "input.shape": tuple(contract.input.shape),
        "input.dtype": contract.input.dtype,
    }
    for output in contract.outputs:
        shape = output_shapes.get(output.name)
        found[f"outputs.{output.name}"] = "missing" if shape is None else tuple(shape[1:])
        stated[f"outputs.{output.name}"] = tuple(output.shape)
    for name, value in stated.items():
        if found[name] != value:
            raise ContractError(
                f"{where}: field {name} is {value}, but in the file's graph it is {found[name]}; "
                "the contract belongs to another file: export the model again with `edge3d export`"
            )


def no_output(outputs: Sequence[OutputSpec]) -> dict[str, NDArray[np.float32]]:
    """Return the outputs of no image at all."""
    return {output.name: np.zeros((0, *output.shape), np.float32) for output in outputs}


def read_bytes(path: Path) -> bytes:
    """Return a file's bytes.

    Raises:
        ContractError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise ContractError(
            f"{path}: cannot be read ({error.strerror}); check that it is a file you may read"
        ) from error


def damaged(path: Path, kind: str, reason: object) -> ContractError:
    """Return the error for a file that is not of its kind, or only a part of one."""
    return ContractError(
        f"{path}: is not a {kind} file, or is cut off or damaged ({shortened(reason)}); "
        "copy it again, or export it again with `edge3d export`"
    )


def no_contract(path: Path, field: str) -> ContractError:
    """Return the error for a file that does not describe itself."""
    return ContractError(
        f"{path}: has no contract (no {field}), so it is not known what goes in and comes out; "
        "export the model with `edge3d export`"
    )
