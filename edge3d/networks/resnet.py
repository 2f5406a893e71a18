"""The teacher network of 2DASL: ResNet-50 with a landmark map as its fourth channel; its critic.

A separable one, which takes an eighth of the time in training, is there to start the whole one
from: see `edge3d.networks.transfer`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from edge3d.networks.layers import normalise_pixels, separable_block

# (channels of the 3 x 3 convolution, blocks, stride) of ResNet-50's stages; the last stage keeps
# its resolution, as in 2DASL's released code.
_STAGES = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 1))
_STEM, EXPANSION = 64, 4
# (output channels, stride) of the separable teacher's blocks: as many as fit into ResNet-50's. Up
# to the last one they are also a student's of width 0.5.
_SEPARABLE_BLOCKS = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    *((256, 1),) * 5,
    (512, 1),
    (512, 1),
    (1024, 1),
)
TEACHERS = ("teacher-separable", "teacher")
STEM_LAYERS = 4  # in front of the blocks


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3, 1 x 1 convolutions beside a shortcut (K. He et al., arXiv 1512.03385)."""

    def __init__(self, inputs: int, channels: int, stride: int) -> None:
        super().__init__()
        self.channels = channels
        outputs = channels * EXPANSION
        self.body = nn.Sequential(
            nn.Conv2d(inputs, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, stride, 1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )
        nn.init.zeros_(self.body[-1].weight)  # type: ignore[arg-type]  # a block starts as nothing

    def convolution(self, number: int) -> nn.Conv2d:
        """Return its first, second or third convolution."""
        found = self.body[3 * (number - 1)]
        assert isinstance(found, nn.Conv2d)
        return found

    def norm(self, number: int) -> nn.BatchNorm2d:
        """Return the batch norm behind its first, second or third convolution."""
        found = self.body[3 * (number - 1) + 1]
        assert isinstance(found, nn.BatchNorm2d)
        return found

    def forward(self, features: Tensor) -> Tensor:
        """Return features (B, 4 C, H / stride, W / stride)."""
        return torch.relu(self.body(features) + self.shortcut(features))


class Teacher(nn.Module):
    """What 2DASL's network shares with the separable one: its two inputs, passes, and ends.

    Attributes:
        features: ends in (B, F, 8, 8) maps. pool: their mean but for the last row and column.
        head: the last layer.
    """

    takes_landmarks = True

    def __init__(self, layers: list[nn.Module], channels: int, outputs: int) -> None:
        super().__init__()
        self.features = nn.Sequential(*layers)
        self.pool = nn.AvgPool2d(7, 2)
        self.head = nn.Linear(channels, outputs)

    def code(self, images: Tensor, maps: Tensor) -> Tensor:
        """Return the image code (B, F) that the last layer reads.

        Args:
            images: (B, 3, 120, 120) RGB 0..255. maps: (B, 1, 120, 120), -1 to +1.
        """
        pixels = torch.cat([normalise_pixels(images), maps.to(images.dtype)], dim=1)
        return self.pool(self.features(pixels)).flatten(1)

    def forward(
        self, images: Tensor, maps: Tensor, again: Callable[[Tensor], Tensor] | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return whitened parameters (B, P), their image code, and a second pass's parameters.

        Args:
            images, maps: as those of `code`.
            again: makes the second pass's maps of the first one's parameters; without it there is
                no second pass, and the third result is the first. Both passes are one call, as
                training on several devices wants it.
        """
        code = self.code(images, maps)
        whitened = self.head(code)
        if again is None:
            return whitened, code, whitened
        return whitened, code, self.head(self.code(images, again(whitened)))


def _stem(channels: int) -> list[nn.Module]:
    return [
        nn.Conv2d(4, channels, 7, 2, 3, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, 2, 1),
    ]


class ResNet50(Teacher):
    """2DASL's network: image and landmark map in, whitened parameters out.

    Args:
        outputs: number of parameters, P.
        width: multiplies all channel numbers; 2DASL has 1.
    """

    def __init__(self, outputs: int, width: float = 1.0) -> None:
        inputs = int(_STEM * width)
        layers = _stem(inputs)
        for full_channels, blocks, stride in _STAGES:
            channels = int(full_channels * width)
            for number in range(blocks):
                layers.append(Bottleneck(inputs, channels, stride if number == 0 else 1))
                inputs = channels * EXPANSION
        super().__init__(layers, inputs, outputs)


class SeparableResNet(Teacher):
    """A network of depthwise-separable blocks that ResNet-50 has room for, with its stem and ends.

    Args:
        outputs: number of parameters, P.
        width: multiplies all channel numbers.
    """

    def __init__(self, outputs: int, width: float = 1.0) -> None:
        inputs = int(_STEM * width)
        layers = _stem(inputs)
        for full_channels, stride in _SEPARABLE_BLOCKS:
            channels = int(full_channels * width)
            layers += separable_block(inputs, channels, stride)
            inputs = channels
        super().__init__(layers, inputs, outputs)


def make_teacher(name: str, outputs: int) -> Teacher:
    """Return a teacher by name, with random weights.

    Raises:
        ValueError: no such teacher.
    """
    if name not in TEACHERS:
        raise ValueError(f"unknown teacher '{name}'; known: {', '.join(TEACHERS)}")
    return ResNet50(outputs) if name == "teacher" else SeparableResNet(outputs)
