"""What a student is trained to reduce: named terms, each a pure function of predictions."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edge3d.geometry.landmarks68 import GAPS
from edge3d.networks.inference import Batch, images_of
from edge3d.networks.point_decoder import PointDecoder
from edge3d.train.objectives.distances import centred, mean_distance, mean_of, squared_then_linear


def supervised_terms(
    whitened: Tensor,
    landmarks: Tensor,
    dense: Tensor,
    target: dict[str, Tensor],
    std: Tensor,
    mean: Tensor,
) -> dict[str, Tensor]:
    """Return the terms of supervised training, each a mean over the faces where it is known.

    Args:
        whitened: (B, P) predicted. landmarks: (B, 68, 3), dense: (B, D, 3), decoded from it.
        target: `params` (B, P) not whitened, `landmarks`, `dense` like the predictions; NaN where
            they are not known.
        std, mean: (P,) the whitening.

    Returns:
        landmarks_2d: mean distance in % of the root of the landmark box's area, as the NME.
        landmarks_z: mean distance in depth, likewise. dense_3d: likewise, all axes.
        gaps: likewise, of the differences between lids and between lips in the picture: a lid is a
            small part of the landmarks' mean, and where the whole eye is matters less for a blink.
        params: mean squared difference of whitened parameters; beyond 4 it goes on as a line, so
            that rare values do not rule it, and a coefficient far beyond its bounds finds back.
    """
    known = target["landmarks"]
    planar_known = known[..., :2].isfinite().all(2, keepdim=True)
    low = torch.where(planar_known, known[..., :2], torch.inf).amin(1)
    high = torch.where(planar_known, known[..., :2], -torch.inf).amax(1)
    scale = 100.0 / (high - low).clamp_min(1.0).prod(dim=1).sqrt()
    # Depth is known up to a shift only: the camera is orthographic.
    depth, known_depth = centred(landmarks[..., 2:]), centred(known[..., 2:])
    cloud = target["dense"]
    wanted = (target["params"] - mean) / std
    present = wanted.isfinite().all(1)
    offset = torch.where(present[:, None], whitened - wanted, 0.0)
    above, below = torch.tensor(GAPS, device=landmarks.device).T
    return {
        "landmarks_2d": mean_distance(landmarks[..., :2], known[..., :2], scale),
        "landmarks_z": mean_distance(depth, known_depth, scale),
        "dense_3d": mean_distance(
            torch.cat([dense[..., :2], centred(dense[..., 2:])], 2),
            torch.cat([cloud[..., :2], centred(cloud[..., 2:])], 2),
            scale,
        ),
        "gaps": mean_distance(
            (landmarks[:, above] - landmarks[:, below])[..., :2],
            (known[:, above] - known[:, below])[..., :2],
            scale,
        ),
        "params": mean_of(squared_then_linear(offset).mean(1), present),
    }


class Supervised:
    """A student learns labels.

    Args:
        decoder: of its parameters.
    """

    def __init__(self, decoder: PointDecoder) -> None:
        self.decoder = decoder

    def terms(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """See `supervised_terms`."""
        whitened = network(images_of(batch))
        landmarks, dense = self.decoder(whitened)
        return supervised_terms(
            whitened, landmarks, dense, batch, self.decoder.std, self.decoder.mean
        )

    def extra_state(self) -> dict[str, nn.Module]:
        """Return nothing: there is none."""
        return {}
