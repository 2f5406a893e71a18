"""Layers that students and teachers share, and the normalisation of their input."""

from __future__ import annotations

from torch import Tensor, nn

MEAN, SCALE = 127.5, 1 / 128  # of the normalisation: (pixel - MEAN) * SCALE


def normalise_pixels(pixels: Tensor) -> Tensor:
    """Return pixels 0..255 as the networks take them: about -1..1, same shape."""
    return (pixels - MEAN) * SCALE


def separable_block(inputs: int, outputs: int, stride: int) -> list[nn.Sequential]:
    """Return a 3 x 3 depthwise and a 1 x 1 convolution, each with batch norm and ReLU."""
    depthwise = _convolution(inputs, inputs, 3, stride, groups=inputs)
    return [depthwise, _convolution(inputs, outputs, 1)]


def _convolution(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """Return convolution, batch norm and ReLU."""
    return normalised(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    )


def normalised(convolution: nn.Conv2d) -> nn.Sequential:
    """Return a convolution followed by batch norm and ReLU."""
    return nn.Sequential(
        convolution, nn.BatchNorm2d(convolution.out_channels), nn.ReLU(inplace=True)
    )
