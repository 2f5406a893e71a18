"""The data contract that every model file carries: what goes in, what comes out, how it was made.

Training writes it into the checkpoint, every export embeds the same JSON. A file without one, or
with one that this version does not know, is refused: no default fills a gap.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edge3d.errors import ContractError
from edge3d.face_model import FaceModel
from edge3d.geometry.boxes import PROTOCOL_MARGIN
from edge3d.geometry.crop import CROP_SIZE_PX
from edge3d.model.parameters import CAMERAS, ParameterLayout, make_layout

SCHEMA = 1
METADATA_KEY = "edge3d_contract"
PRECISIONS = ("fp32", "fp16", "int8")


@dataclass(frozen=True)
class InputSpec:
    """The network's input: the crop itself, as a camera gives it.

    Attributes:
        name: of the graph's input.
        shape: without the batch.
        layout: `NHWC` or `NCHW`.
        dtype: `uint8` or `float32`.
        colour: order of the channels.
        value_range: lowest and highest value.
    """

    name: str = "image"
    shape: tuple[int, int, int] = (CROP_SIZE_PX, CROP_SIZE_PX, 3)
    layout: str = "NHWC"
    dtype: str = "uint8"
    colour: str = "RGB"
    value_range: tuple[float, float] = (0.0, 255.0)


@dataclass(frozen=True)
class CropRule:
    """Which part of a picture the network was trained on.

    Attributes:
        box: `landmarks68-square`: the square about the middle of the 68 landmarks' box.
        margin: the square's side over the longer side of that box.
        size_px: side of the crop.
        pixel_centre: `integer`: a pixel's centre has whole coordinates, the first is 0.
        interpolation: `area-bilinear`: area averaging to shrink, bilinear to grow.
        padding: what lies outside of the picture.
    """

    box: str = "landmarks68-square"
    margin: float = PROTOCOL_MARGIN
    size_px: int = CROP_SIZE_PX
    pixel_centre: str = "integer"
    interpolation: str = "area-bilinear"
    padding: str = "black"


@dataclass(frozen=True)
class OutputSpec:
    """One output of the graph.

    Attributes:
        name: `params`, `landmarks` or `vertices`.
        shape: without the batch.
        frame: `whitened`, or `crop`: pixels of the crop, y down, z towards the camera.
        unit: `standard deviation` or `pixel`.
    """

    name: str
    shape: tuple[int, ...]
    frame: str
    unit: str


@dataclass(frozen=True)
class ModelContract:
    """Everything that is needed to use a model file, and where it comes from.

    Attributes:
        architecture: name of the network, for example `student-050`.
        input, crop, outputs: see their classes.
        layout: of the parameters.
        face_model: name of the face model. face_model_sha256: of its content.
        precision: `fp32`, `fp16` or `int8`.
        quantization: what was quantized and on which images; empty for float files.
        provenance: recipe, data, metrics, licence notes.
    """

    architecture: str
    layout: ParameterLayout
    face_model: str
    face_model_sha256: str
    outputs: tuple[OutputSpec, ...]
    input: InputSpec = InputSpec()
    crop: CropRule = CropRule()
    precision: str = "fp32"
    quantization: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def replace(self, **changes: Any) -> ModelContract:
        """Return a copy with some fields changed."""
        return dataclasses.replace(self, **changes)

    def to_json(self) -> str:
        """Return the contract as JSON text, the same for the same contract."""
        content = {
            "schema": SCHEMA,
            "architecture": self.architecture,
            "input": dataclasses.asdict(self.input),
            "crop": dataclasses.asdict(self.crop),
            "outputs": [dataclasses.asdict(output) for output in self.outputs],
            "parameters": {
                "camera": self.layout.camera,
                "slices": {name: list(ends) for name, ends in self.layout.slices.items()},
                "mean": [float(f"{value:.7g}") for value in self.layout.mean],
                "std": [float(f"{value:.7g}") for value in self.layout.std],
            },
            "face_model": {"name": self.face_model, "sha256": self.face_model_sha256},
            "precision": self.precision,
            "quantization": dict(self.quantization),
            "provenance": dict(self.provenance),
        }
        return json.dumps(content, sort_keys=True)

    @staticmethod
    def from_json(text: str, where: str) -> ModelContract:
        """Read a contract.

        Args:
            text: the JSON. where: the file it comes from, for messages.

        Raises:
            ContractError: not JSON, an unknown schema, a field missing or of a wrong type.
        """
        try:
            content = json.loads(text)
        except ValueError as error:
            raise ContractError(
                f"{where}: the contract is not JSON ({error}); export the model again"
            ) from error
        schema = content.get("schema") if isinstance(content, dict) else None
        if schema != SCHEMA:
            newer = isinstance(schema, int) and schema > SCHEMA
            raise ContractError(
                f"{where}: contract schema {schema!r} is not the supported {SCHEMA}; "
                + ("update edge3d" if newer else "export the model again")
            )
        try:
            return _from_content(content)
        except (KeyError, TypeError, ValueError) as error:
            what = f"field {error} is missing" if isinstance(error, KeyError) else str(error)
            raise ContractError(
                f"{where}: the contract is not valid: {what}; export the model again"
            ) from error

    def check_face_model(self, face_model: FaceModel, where: str) -> None:
        """Make sure that a face model is the one the parameters belong to.

        Raises:
            ContractError: it is another one.
        """
        if face_model.sha256 != self.face_model_sha256:
            raise ContractError(
                f"{where}: field face_model.sha256 asks for '{self.face_model}' "
                f"({self.face_model_sha256[:12]}), but this '{face_model.name}' is "
                f"{face_model.sha256[:12]}; use the face model that the file was trained with "
                "(`edge3d face-model import`), or train and export again"
            )


def _from_content(content: dict[str, Any]) -> ModelContract:
    parameters = content["parameters"]
    if parameters["camera"] not in CAMERAS:
        raise ValueError(f"field parameters.camera is {parameters['camera']!r}")
    in_order = sorted(parameters["slices"].items(), key=lambda item: item[1])
    slices = {name: (int(ends[0]), int(ends[1])) for name, ends in in_order}
    mean, std = (np.array(parameters[name], np.float32) for name in ("mean", "std"))
    size = max(stop for _, stop in slices.values())
    if mean.shape != (size,) or std.shape != (size,):
        raise ValueError(f"field parameters: {size} in slices, {len(mean)} means, {len(std)} stds")
    if content["precision"] not in PRECISIONS:
        raise ValueError(f"field precision is {content['precision']!r}")
    image, crop = content["input"], content["crop"]
    return ModelContract(
        architecture=str(content["architecture"]),
        layout=ParameterLayout(parameters["camera"], slices, mean, std),
        face_model=str(content["face_model"]["name"]),
        face_model_sha256=str(content["face_model"]["sha256"]),
        outputs=tuple(
            OutputSpec(o["name"], tuple(o["shape"]), o["frame"], o["unit"])
            for o in content["outputs"]
        ),
        input=InputSpec(
            **{**image, "shape": tuple(image["shape"]), "value_range": tuple(image["value_range"])}
        ),
        crop=CropRule(**crop),
        precision=content["precision"],
        quantization=content["quantization"],
        provenance=content["provenance"],
    )


def contract_for(
    architecture: str, layout: ParameterLayout, face_model: FaceModel, **fields: Any
) -> ModelContract:
    """Return the contract of a network that gives whitened parameters.

    Raises:
        ValueError: the layout is not the face model's.
    """
    make_layout(layout.camera, face_model, layout.mean, layout.std)  # checks the sizes
    output = OutputSpec("params", (layout.size,), "whitened", "standard deviation")
    return ModelContract(
        architecture=architecture,
        layout=layout,
        face_model=face_model.name,
        face_model_sha256=face_model.sha256,
        outputs=(output,),
        **fields,
    )
