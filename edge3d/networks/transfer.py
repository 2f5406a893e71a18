"""Starts a network from another one whose layers it has room for: student, separable, ResNet-50.

Training ResNet-50 from nothing takes a GPU. Where there is none, its knowledge comes from cheaper
networks: a student lends its blocks to a separable teacher, which learns to use the landmark map at
several times the speed, and ResNet-50 then starts as a network that gives the same faces. It is the
idea of Net2Net (T. Chen, I. Goodfellow, J. Shlens, arXiv 1511.05641).

A separable block (3 x 3 depthwise, ReLU, 1 x 1, ReLU) is a special bottleneck: its first 1 x 1
convolution picks channels, its 3 x 3 one is diagonal. What it gives goes to a quarter of its
stage's channels, a quarter in turn for each block; the other quarters and the other blocks start as
a new network's.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edge3d.networks.mobilenet import PATCH_PX, MobileNetV1
from edge3d.networks.resnet import EXPANSION, STEM_LAYERS, Bottleneck, ResNet50, SeparableResNet

# Which of ResNet-50's sixteen blocks holds which separable one, and those that begin a stage.
_PLACES = {0: 0, 3: 1, 4: 2, 7: 3, 8: 4, 9: 5, 10: 6, 11: 7, 12: 8, 13: 9, 14: 10, 15: 11}
_FIRST_OF_STAGE = (0, 3, 7, 13)
_QUARTERS = 4
_CLEARED = -1e3  # what no shortcut holds out against
_Pair = tuple[nn.Conv2d, nn.BatchNorm2d]


@torch.no_grad()
def copy_student_blocks(student: MobileNetV1, separable: SeparableResNet) -> SeparableResNet:
    """Give a student's layers, but for the last one, to a separable teacher.

    Not exact: the student's stem lies in the 7 x 7 kernels where it sees the same pixels, but max
    pooling follows; two blocks keep their resolution; the last block and layer are new.

    Args:
        student: of half the separable teacher's width. separable: a new one; it is changed.
    """
    first, norm = _pair(student.features[0])
    kernel = _pair(separable.features)[0].weight
    rows = first.weight.squeeze(3).unflatten(1, (PATCH_PX, 3))  # (C, pixel of a row, colour, row)
    nn.init.zeros_(kernel)
    kernel[:, :3, -PATCH_PX:, -PATCH_PX:] = rows.permute(0, 2, 3, 1)
    separable.features[1].load_state_dict(norm.state_dict())
    theirs = list(student.features.children())[1:]
    own = list(separable.features.children())[STEM_LAYERS:]
    for lent, layer in zip(theirs, own, strict=False):
        layer.load_state_dict(lent.state_dict())
    nn.init.zeros_(separable.head.weight)
    nn.init.zeros_(separable.head.bias)
    return separable


@torch.no_grad()
def init_resnet_from_separable(
    separable: SeparableResNet, resnet: ResNet50, images: Tensor, maps: Tensor
) -> ResNet50:
    """Let ResNet-50 start as a separable teacher: it gives the same parameters.

    Args:
        separable: a trained one. resnet: a new one of the same width; it is changed.
        images: (B, 3, 120, 120) RGB 0..255, maps: (B, 1, 120, 120), a few hundred: what batch norms
            see of them is taken for their running statistics.
    """
    wanted = _Wanted()
    stem, norm = _pair(separable.features)
    resnet.features[0].load_state_dict(stem.state_dict())
    wanted.add(resnet.features[1], 0, *_affine(norm))
    layers = [_pair(layer) for layer in separable.features[STEM_LAYERS:].children()]
    source = 0  # the first of the channels that the separable block's input is in
    for place, number in _PLACES.items():
        block = resnet.features.get_submodule(str(STEM_LAYERS + place))
        assert isinstance(block, Bottleneck)
        channels = block.channels * EXPANSION
        width = channels // _QUARTERS
        to = 0 if place in _FIRST_OF_STAGE else (source + width) % channels
        _lay_block(layers[2 * number], layers[2 * number + 1], block, source, to, wanted)
        if place + 1 in _PLACES and place + 1 not in _FIRST_OF_STAGE:  # makes room for the next
            given = layers[2 * number + 3][0].out_channels
            cleared = _nothing(given, _CLEARED)
            wanted.add(block.norm(3), (to + width) % channels, *cleared)
        source = to
    nn.init.zeros_(resnet.head.weight)
    resnet.head.weight[:, source : source + separable.head.in_features] = separable.head.weight
    resnet.head.bias.copy_(separable.head.bias)
    wanted.settle(resnet, images, maps)
    return resnet


class _Wanted:
    """What batch norms shall do to some of their channels: `scale * value + shift`."""

    def __init__(self) -> None:
        self._known: dict[nn.Module, list[tuple[slice, Tensor, Tensor]]] = {}

    def add(self, norm: nn.Module, start: int, scale: Tensor, shift: Tensor) -> None:
        """Want a scale and a shift (C,) of the channels from `start` on."""
        channels = slice(start, start + len(scale))
        self._known.setdefault(norm, []).append((channels, scale, shift))

    def settle(self, network: nn.Module, images: Tensor, maps: Tensor) -> None:
        """Set all batch norms by what they see, one after another, and their running statistics."""

        def set_norm(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            assert isinstance(norm, nn.BatchNorm2d)
            assert norm.running_mean is not None and norm.running_var is not None
            variance, mean = torch.var_mean(inputs[0], dim=(0, 2, 3), unbiased=False)
            for channels, scale, shift in self._known.get(norm, []):
                norm.weight[channels] = scale * (variance[channels] + norm.eps).sqrt()
                norm.bias[channels] = shift + scale * mean[channels]
            norm.running_mean.copy_(mean)
            norm.running_var.copy_(variance)

        norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
        handles = [norm.register_forward_pre_hook(set_norm) for norm in norms]
        momenta = [norm.momentum for norm in norms]
        for norm in norms:
            norm.momentum = 0.0  # the hook alone sets the statistics
        network.train()(images, maps)
        for norm, handle, momentum in zip(norms, handles, momenta, strict=True):
            handle.remove()
            norm.momentum = momentum


def _lay_block(
    depthwise: _Pair, pointwise: _Pair, block: Bottleneck, source: int, to: int, wanted: _Wanted
) -> None:
    """Lay a separable block into one that reads channels from `source` on and writes to `to`."""
    own, given = pointwise[0].in_channels, pointwise[0].out_channels
    first, middle, last = (block.convolution(number) for number in (1, 2, 3))
    first.weight[:own] = 0
    first.weight[range(own), range(source, source + own)] = 1
    wanted.add(block.norm(1), 0, torch.ones(own), torch.zeros(own))
    middle.weight[:own] = 0
    middle.weight[range(own), range(own)] = depthwise[0].weight[:, 0]
    wanted.add(block.norm(2), 0, *_affine(depthwise[1]))
    last.weight[to : to + given] = 0
    last.weight[to : to + given, :own] = pointwise[0].weight
    wanted.add(block.norm(3), to, *_affine(pointwise[1]))
    if isinstance(block.shortcut, nn.Sequential):  # leaves room
        wanted.add(block.shortcut[1], to, *_nothing(given))


def _nothing(channels: int, shift: float = 0.0) -> tuple[Tensor, Tensor]:
    return torch.zeros(channels), torch.full((channels,), shift)


def _pair(layer: nn.Module) -> _Pair:
    convolution, norm = layer.get_submodule("0"), layer.get_submodule("1")
    assert isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
    return convolution, norm


def _affine(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Return what a trained batch norm does: a scale and a shift of each channel."""
    assert norm.running_mean is not None and norm.running_var is not None
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    return scale, norm.bias - scale * norm.running_mean
