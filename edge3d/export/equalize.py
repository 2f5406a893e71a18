"""Makes a student's channels alike before it is quantized, without changing what it computes.

Activations share one scale a tensor in 8 bit. Where one channel reaches ten times as far as
another, the small one is left with a few steps. ReLU passes a positive factor through, so that a
channel can be divided by one in a layer and multiplied by it in the next: cross-layer
equalization (M. Nagel et al., arXiv 1906.04721), here with the activations' own ranges.
"""

from __future__ import annotations

import copy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from edge3d.networks.mobilenet import MobileNetV1

# A channel's factor and its inverse at most. A channel that is quiet in the few calibrated crops
# may be loud in others; of 1 to 64, 2 gave the least drift on AFLW crops.
LIMIT = 2.0


@torch.no_grad()
def equalized(network: nn.Module, crops: NDArray[np.uint8]) -> nn.Module:
    """Return a copy of a student with batch norms folded and channels of alike ranges.

    A depthwise convolution has a weight scale for each channel, so that all of a channel's range
    can go into it; a pointwise one mixes channels under one scale for each output, so that
    activations and weights share it out (the square root, as in the paper).

    Args:
        network: a student. crops: (N, 120, 120, 3) uint8 RGB, whose activations are looked at.
    """
    if not isinstance(network, MobileNetV1):
        return network
    result = copy.deepcopy(network).eval()
    layers = [_fold(block) for block in (*result.features, result.pool)]
    ranges = _output_ranges(result, layers, crops)
    for number, layer in enumerate(layers):
        following = layers[number + 1] if number + 1 < len(layers) else result.head
        if isinstance(following, nn.Conv2d) and following.groups > 1:
            factors = ranges[number]
        else:
            reach = (
                following.weight.abs().flatten(2).amax(2)
                if following.weight.ndim == 4
                else (following.weight.abs())
            )
            factors = (ranges[number] / reach.amax(0).clamp_min(1e-8)).sqrt()
        factors = factors.clamp_min(1e-8)
        factors = (factors / factors.log().mean().exp()).clamp(1 / LIMIT, LIMIT)
        layer.weight /= factors[:, None, None, None]
        assert layer.bias is not None  # folding gives one
        layer.bias /= factors
        depthwise = isinstance(following, nn.Conv2d) and following.groups > 1
        shape = (-1, 1, 1, 1) if depthwise else (1, -1, *[1] * (following.weight.ndim - 2))
        following.weight *= factors.reshape(shape)
    return result


def _fold(block: nn.Module) -> nn.Conv2d:
    """Fold the batch norm of a block (convolution, batch norm, ...) and return the convolution."""
    convolution, norm = block.get_submodule("0"), block.get_submodule("1")
    assert isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
    folded = fuse_conv_bn_eval(convolution, norm)
    block.register_module("0", folded)
    block.register_module("1", nn.Identity())
    return folded


def _output_ranges(
    network: nn.Module, layers: list[nn.Conv2d], crops: NDArray[np.uint8]
) -> list[Tensor]:
    """Return the largest absolute value of each layer's channels, behind its ReLU."""
    found: list[Tensor] = [torch.zeros(layer.out_channels) for layer in layers]
    last = len(layers) - 1

    def look(number: int, output: Tensor) -> None:
        values = output.abs() if number == last else output.clamp_min(0)
        found[number] = torch.maximum(found[number], values.amax((0, 2, 3)))

    handles = [
        layer.register_forward_hook(
            lambda _module, _inputs, output, number=number: look(number, output)
        )
        for number, layer in enumerate(layers)
    ]
    for start in range(0, len(crops), 32):
        images = torch.from_numpy(crops[start : start + 32]).permute(0, 3, 1, 2).float()
        network(images)
    for handle in handles:
        handle.remove()
    return found
