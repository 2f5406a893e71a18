"""The teacher network of 2DASL: ResNet-50 with a landmark map as its fourth channel; its critic.

Narrow ones, with a share of all channels, are there to start the whole one from: see
`edge3d.train.widen`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

# (channels of the 3 x 3 convolution, blocks, stride) of ResNet-50's stages; the last stage keeps
# its resolution, as in 2DASL's released code.
_STAGES = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 1))
_STEM, _EXPANSION = 64, 4
TEACHER_WIDTHS = {"teacher-025": 0.25, "teacher-050": 0.5, "teacher": 1.0}


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3, 1 x 1 convolutions beside a shortcut (K. He et al., arXiv 1512.03385)."""

    def __init__(self, inputs: int, channels: int, stride: int) -> None:
        super().__init__()
        outputs = channels * _EXPANSION
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

    def forward(self, features: Tensor) -> Tensor:
        """Return features (B, 4 C, H / stride, W / stride)."""
        return torch.relu(self.body(features) + self.shortcut(features))


class ResNet50(nn.Module):
    """2DASL's network: image and landmark map in, whitened parameters out.

    Args:
        width: multiplies all channel numbers; 2DASL has 1.
        outputs: number of parameters, P.
    """

    takes_landmarks = True

    def __init__(self, width: float, outputs: int) -> None:
        super().__init__()
        inputs = int(_STEM * width)
        layers: list[nn.Module] = [
            nn.Conv2d(4, inputs, 7, 2, 3, bias=False),
            nn.BatchNorm2d(inputs),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2, 1),
        ]
        for full_channels, blocks, stride in _STAGES:
            channels = int(full_channels * width)
            for number in range(blocks):
                layers.append(Bottleneck(inputs, channels, stride if number == 0 else 1))
                inputs = channels * _EXPANSION
        self.features = nn.Sequential(*layers)
        self.pool = nn.AvgPool2d(7, 2)
        self.head = nn.Linear(inputs, outputs)

    def code(self, images: Tensor, maps: Tensor) -> Tensor:
        """Return the image code (B, 2048 width) that the last layer reads.

        Args:
            images: (B, 3, 120, 120) RGB 0..255. maps: (B, 1, 120, 120), -1 to +1.
        """
        pixels = torch.cat([(images - 127.5) * (1 / 128), maps.to(images.dtype)], dim=1)
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


def make_teacher(name: str, outputs: int) -> ResNet50:
    """Return a teacher by name, with random weights.

    Raises:
        ValueError: no such teacher.
    """
    if name not in TEACHER_WIDTHS:
        raise ValueError(f"unknown teacher '{name}'; known: {', '.join(TEACHER_WIDTHS)}")
    return ResNet50(TEACHER_WIDTHS[name], outputs)


class Critic(nn.Module):
    """Judges whether coefficients belong to a face: pairs of image code and parameters.

    Args:
        code: number of features in an image code, F. parameters: number of parameters, P.
    """

    def __init__(self, code: int, parameters: int) -> None:
        super().__init__()
        self.image = nn.Linear(code, 128)
        self.coefficients = nn.Linear(parameters, 128)
        self.judge = nn.Sequential(
            nn.LeakyReLU(0.2),
            nn.Linear(256, 128),
            nn.LeakyReLU(0.2),
            nn.Linear(128, 1),
        )

    def forward(self, code: Tensor, whitened: Tensor) -> Tensor:
        """Return a score (B,) of codes (B, F) and whitened parameters (B, P); high is real."""
        both = torch.cat([self.image(code), self.coefficients(whitened)], dim=1)
        return self.judge(both).squeeze(1)
