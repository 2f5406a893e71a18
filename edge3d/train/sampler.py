"""Faces to train on, whatever their source: crops with labels, held-out faces, augmented draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from edge3d.datasets.augment import AugmentConfig, change_pixels, random_similarity, warp
from edge3d.datasets.faces import FaceCrops
from edge3d.errors import DatasetError
from edge3d.geometry.crop import CROP_SIZE_PX
from edge3d.geometry.landmarks68 import LID_GAPS, MIRROR, PARTS, PICTURE_LEFT
from edge3d.metrics import BIN_NAMES, yaw_bins
from edge3d.model.camera import move_params

# What a 2D landmark detector does to a face's landmarks, in a crop of 120 px: errors that all
# landmarks have in common, that those of an eye, a brow, the nose have in common, and of
# each alone.
DETECTED_NOISE_PX = (0.5, 4.0)  # standard deviation, drawn for each face
DETECTED_SHARES = (0.4, 0.65, 0.65)  # of it: whole face, part, landmark; together about 1
DETECTED_FAR, DETECTED_MISSING = 0.03, 0.03  # shares of the landmarks
DETECTED_NOTHING = 0.02  # share of the faces that the detector finds nothing in
DETECTED_HIDDEN = 3.0  # how much larger the noise is on the far side of a full profile, less one
SHUT_EYES = 0.16  # eye aspect ratio; 5 % of AFLW's faces that are not turned far are below
_PART_OF_LANDMARK = np.repeat(np.arange(len(PARTS)), [stop - start for _, start, stop, _ in PARTS])


class TrainingFaces(Dataset):
    """Augmented faces, as a map from a draw's number to tensors.

    Draw `index` is a face and everything random about it, decided by `seed` and `index` alone: a
    resumed run sees the same faces.

    Args:
        parts: the crops and labels, by source.
        draws: how many draws there are (steps times batch size).
        config: the augmentation.
        seed: of all randomness.
        balance: 0 draws a source's faces as often as they are, 1 the three yaw bins equally often.
        shut_eyes: how many times as often as others faces are drawn whose eyes are nearly shut.
        shares: how often each source is drawn, by its name; by its number of faces where it is
            not named.
        held_out: share of the faces that is left out.

    Raises:
        DatasetError: no face is left to train on.
    """

    def __init__(
        self,
        parts: Sequence[FaceCrops],
        draws: int,
        config: AugmentConfig,
        seed: int,
        balance: float = 0.5,
        shut_eyes: float = 1.0,
        shares: Mapping[str, float] | None = None,
        held_out: float = 0.0,
    ) -> None:
        self.parts, self.draws, self.seed = tuple(parts), draws, seed
        self.config = config.effective()
        self._rows = [np.flatnonzero(~part.held_out(held_out)) for part in self.parts]
        self._cumulative = [
            _cumulative_weights(
                part.yaw_deg[rows], balance, shut_eyes, eyes_are_shut(part.labels.landmarks[rows])
            )
            for part, rows in zip(self.parts, self._rows, strict=True)
        ]
        weights = [
            (shares or {}).get(part.source, float(len(rows))) * (len(rows) > 0)
            for part, rows in zip(self.parts, self._rows, strict=True)
        ]
        if not np.sum(weights) > 0:
            raise DatasetError(
                "there are no faces to train on: all of them are held out, or have a share of 0; "
                "lower data.held_out, change data.shares, or add faces"
            )
        self._part_ends = np.cumsum(weights) / np.sum(weights)

    def __len__(self) -> int:
        return self.draws

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """Return `image` (3, 120, 120) uint8 and the labels of one draw, float32.

        `detected` (68, 2) are landmarks as a 2D detector might give them, for the teacher's map.
        """
        rng = np.random.default_rng((self.seed, index))
        number = min(int(np.searchsorted(self._part_ends, rng.random())), len(self.parts) - 1)
        faces, rows = self.parts[number], self._rows[number]
        row = rows[min(int(np.searchsorted(self._cumulative[number], rng.random())), len(rows) - 1)]
        image = faces.crops[row]
        mirrored = rng.random() < 0.5
        if mirrored:
            image = np.ascontiguousarray(image[:, ::-1])
        label = row + len(faces.names) * mirrored
        change = random_similarity(self.config, rng, CROP_SIZE_PX)
        image = change_pixels(warp(image, change, rng), self.config, rng)
        labels = faces.labels
        landmarks = change.move_points(labels.landmarks[label])
        return {
            "image": torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))),
            "params": torch.from_numpy(move_params(labels.params[label], change, labels.camera)),
            "landmarks": torch.from_numpy(landmarks),
            "detected": torch.from_numpy(_as_detected(landmarks, rng)),
            "dense": torch.from_numpy(change.move_points(labels.dense[label])),
        }


def _as_detected(landmarks: NDArray, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return 2D landmarks (68, 2) with a detector's mistakes: noise, some far off, some missing."""
    if rng.random() < DETECTED_NOTHING:
        return np.full((len(landmarks), 2), np.nan, np.float32)
    draws = (rng.standard_normal((count, 2)) for count in (1, len(PARTS), len(landmarks)))
    whole, part, single = (share * draw for share, draw in zip(DETECTED_SHARES, draws, strict=True))
    noise = rng.uniform(*DETECTED_NOISE_PX) * (whole + part[_PART_OF_LANDMARK] + single)
    noise *= 1 + DETECTED_HIDDEN * _hidden(landmarks)[:, None]
    noise[rng.random(len(landmarks)) < DETECTED_FAR] *= 4
    seen = landmarks[:, :2] + noise
    seen[rng.random(len(landmarks)) < DETECTED_MISSING] = np.nan
    return seen.astype(np.float32)


def _hidden(landmarks: NDArray) -> NDArray[np.float32]:
    """Return how far each of 68 landmarks (68, 2 or 3) is turned away: 0 to 1 in a full profile.

    By how far the outer corners of the eyes are to the sides of the nose's bridge; 0 for all where
    one of these, or the chin, is not known.
    """
    chin, bridge, left, right = landmarks[[8, 27, 36, 45], :2]
    across = np.array([chin[1] - bridge[1], bridge[0] - chin[0]])
    reach = np.array([(bridge - left) @ across, (right - bridge) @ across])
    turn = np.nan_to_num((reach[0] - reach[1]) / max(np.abs(reach).sum(), 1e-6))
    return np.clip(np.where(PICTURE_LEFT, -turn, turn) * (np.arange(68) != MIRROR), 0, 1)


def eyes_are_shut(landmarks: NDArray) -> NDArray[np.bool_]:
    """Return whether both eyes of 68 landmarks (N, 68, C) are nearly shut: (N,) bool.

    By the mean of their eye aspect ratios (T. Soukupova and J. Cech, 2016): how far lids are apart
    in a corner-to-corner length. False where a landmark is not known.
    """
    above, below = np.array(LID_GAPS).T  # two of each eye
    lids = np.linalg.norm(landmarks[:, above] - landmarks[:, below], axis=2)
    corners = np.linalg.norm(landmarks[:, [36, 42]] - landmarks[:, [39, 45]], axis=2)
    ratios = lids.reshape(-1, 2, 2).mean(axis=2) / corners
    return ratios.mean(axis=1) < SHUT_EYES


def _cumulative_weights(
    yaw_deg: NDArray, balance: float, shut_eyes: float, are_shut: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return the ends of the faces' intervals within 0..1."""
    bins = yaw_bins(yaw_deg)
    share = np.bincount(bins, minlength=len(BIN_NAMES)) / max(1, len(bins))
    weight = (1 - balance) + balance / (len(BIN_NAMES) * np.maximum(share, 1e-6))[bins]
    weight *= np.where(are_shut, shut_eyes, 1)
    return np.cumsum(weight) / weight.sum()
