"""Student networks: MobileNets that quantize and run well (ReLU, no squeeze-excite).

All take a batch of crops as (B, 3, 120, 120) float32 RGB in 0..255 and give whitened parameters
(B, P) float32; the normalisation is part of the network.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edge3d.networks.layers import MEAN, SCALE, normalise_pixels, normalised, separable_block

PATCH_PX = 4  # side of the patches that the first layer sees, as in vision transformers
_STEM = 128  # its channels at width 1
# (output channels at width 1, stride) of MobileNetV1's separable blocks from the third on
# (A. Howard et al., arXiv 1704.04861, table 1).
_V1_BLOCKS = (
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *((512, 1),) * 5,
    (1024, 2),
    (1024, 1),
)
STUDENT_WIDTHS = {"student-025": 0.25, "student-050": 0.5, "student-100": 1.0}


class MobileNetV1(nn.Module):
    """MobileNetV1 with a patch stem and a learned pooling.

    MobileNetV1's first five layers, with few channels on large maps, take half of its time in
    8 bit. One convolution of patches of 4 x 4 pixels takes their place. A patch's row of four
    pixels is one pixel of 12 channels, which in the camera's order of bytes is no work at all, and
    which the runtimes' kernels like better than 3 channels.

    The pooling is a depthwise convolution over the last 4 x 4 map. Where features are matters for
    pose and translation; an average over the map forgets it, a depthwise convolution of the map's
    size (MobileFaceNet, S. Chen et al., arXiv 1804.07573) does not, for 16 multiply-adds a channel.

    Args:
        width: multiplies all channel numbers.
        outputs: number of parameters, P.
    """

    def __init__(self, width: float, outputs: int) -> None:
        super().__init__()
        channels = int(_STEM * width)
        patches = nn.Conv2d(3 * PATCH_PX, channels, (PATCH_PX, 1), (PATCH_PX, 1), bias=False)
        layers = [normalised(patches)]
        for full_channels, stride in _V1_BLOCKS:
            following = int(full_channels * width)
            layers += separable_block(channels, following, stride)
            channels = following
        self.features = nn.Sequential(*layers)
        self.pool = nn.Sequential(
            nn.Conv2d(channels, channels, 4, groups=channels, bias=False),
            nn.BatchNorm2d(channels),
        )
        self.head = nn.Linear(channels, outputs)
        self.normalises = True

    def forward(self, images: Tensor) -> Tensor:
        """Return whitened parameters (B, P) of crops (B, 3, 120, 120) RGB 0..255."""
        return self.on_pixels(images.permute(0, 2, 3, 1))

    def on_pixels(self, images: Tensor) -> Tensor:
        """Return whitened parameters (B, P) of crops (B, 120, 120, 3) RGB 0..255.

        The camera's own order: neither is a pixel moved nor, without normalisation, changed.
        """
        batch, height, width, colours = images.shape
        patches = images.reshape(batch, height, width // PATCH_PX, PATCH_PX * colours)
        if self.normalises:
            patches = normalise_pixels(patches)
        features = self.features(patches.permute(0, 3, 1, 2))
        return self.head(self.pool(features).flatten(1))

    @torch.no_grad()
    def fold_normalisation(self) -> None:
        """Let the first layer do the normalisation: the same outputs with less to compute."""
        convolution, norm = self.features.get_submodule("0.0"), self.features.get_submodule("0.1")
        assert isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
        assert norm.running_mean is not None and self.normalises
        convolution.weight *= SCALE
        norm.running_mean += MEAN * convolution.weight.sum(dim=(1, 2, 3))
        self.normalises = False


def make_student(name: str, outputs: int) -> MobileNetV1:
    """Return a student by name, with random weights.

    Raises:
        ValueError: no such student.
    """
    if name not in STUDENT_WIDTHS:
        raise ValueError(f"unknown student '{name}'; known: {', '.join(STUDENT_WIDTHS)}")
    return MobileNetV1(STUDENT_WIDTHS[name], outputs)
