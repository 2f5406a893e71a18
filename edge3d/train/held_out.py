"""Accuracy on the held-out faces of the training data, against their labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edge3d.datasets.faces import FaceCrops
from edge3d.metrics import landmark_nme, summarise_nme
from edge3d.networks.inference import takes_landmarks, whitened_by
from edge3d.networks.point_decoder import PointDecoder

BATCH = 64


@dataclass(frozen=True, eq=False)
class Validation:
    """Predictions for M held-out faces, those of all sources one after another.

    Attributes:
        names: M names, with their source.
        crops: (M, 120, 120, 3) uint8 RGB.
        known_px: (M, 68, 3), predicted_px: (M, 68, 3), in crop pixels.
        whitened: (M, P) predicted parameters.
        yaw_deg: (M,).
    """

    names: tuple[str, ...]
    crops: NDArray[np.uint8]
    known_px: NDArray[np.float32]
    predicted_px: NDArray[np.float32]
    whitened: NDArray[np.float32]
    yaw_deg: NDArray[np.float32]

    @property
    def nme(self) -> NDArray[np.float64]:
        """NME of each face in %, against its label: (M,); NaN where a landmark is not known."""
        return landmark_nme(self.predicted_px, self.known_px)

    def summary(self) -> dict[str, Any]:
        """Return `bins`, `balanced` and `all`, as `edge3d.metrics.summarise_nme`."""
        return summarise_nme(self.nme, self.yaw_deg)


@torch.no_grad()
def validate_held_out(
    network: nn.Module, decoder: PointDecoder, parts: Sequence[FaceCrops], share: float
) -> Validation:
    """Run a network on the faces that training holds out.

    Args:
        network: a student or a teacher; it is put back into the mode it was in.
        decoder: on the same device. parts: the faces, by source. share: that is held out.
    """
    rows = [np.flatnonzero(part.held_out(share)) for part in parts]
    pairs = list(zip(parts, rows, strict=True))
    crops = np.concatenate([part.crops[own] for part, own in pairs])
    landmarks = np.concatenate([part.labels.landmarks[own] for part, own in pairs])
    device = decoder.mean.device
    training = network.training
    network.eval()
    whitened = [torch.zeros(0, len(decoder.mean), device=device)]
    for start in range(0, len(crops), BATCH):
        images = torch.from_numpy(crops[start : start + BATCH]).permute(0, 3, 1, 2)
        batch = {"image": images.to(device)}
        if takes_landmarks(network):  # the held-out faces' own stand in for detected ones
            known = torch.from_numpy(landmarks[start : start + BATCH, :, :2])
            batch["detected"] = known.to(device)
        whitened.append(whitened_by(network, batch))
    network.train(training)
    joined = torch.cat(whitened)
    return Validation(
        names=tuple(f"{part.source}/{part.names[row]}" for part, own in pairs for row in own),
        crops=crops,
        known_px=landmarks,
        predicted_px=decoder(joined)[0].cpu().numpy(),
        whitened=joined.cpu().numpy(),
        yaw_deg=np.concatenate([part.yaw_deg[own] for part, own in pairs]),
    )
