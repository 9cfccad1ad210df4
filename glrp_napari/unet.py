"""The network: the paper's 2-D U-Net (Fig. 1), at any width. Knows nothing of cines, files or training."""

import copy
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from glrp_napari.models import Architecture

LEVELS = 5
STRIDE = 2 ** (LEVELS - 1)
"""Height and width of an input must be divisible by this."""


class Block(nn.Sequential):
    """(Conv 3×3 + BN + ReLU) × 2."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(
            nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels_out),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels_out),
            nn.ReLU(inplace=True),
        )


class Encoder(nn.Module):
    """Five blocks with max-pooling between; returns the map of each level, finest first."""

    def __init__(self, width: int) -> None:
        super().__init__()
        filters = [width * 2**level for level in range(LEVELS)]
        self.channels = filters[-1]
        self.blocks = nn.ModuleList(Block(a, b) for a, b in zip([1, *filters], filters, strict=False))
        self.pool = nn.MaxPool2d(2)

    def forward(self, images: Tensor) -> list[Tensor]:
        """(N, 1, H, W) to five maps (N, width · 2^l, H / 2^l, W / 2^l)."""
        maps = [self.blocks[0](images)]
        for block in list(self.blocks)[1:]:
            maps.append(block(self.pool(maps[-1])))
        return maps


class Decoder(nn.Module):
    """Transposed conv 2×2, concatenate the encoder's map, block; then a 1×1 head."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        filters = [width * 2**level for level in reversed(range(LEVELS))]  # coarse to fine
        steps = list(pairwise(filters))
        self.ups = nn.ModuleList(nn.ConvTranspose2d(a, b, 2, stride=2) for a, b in steps)
        self.blocks = nn.ModuleList(Block(2 * b, b) for _, b in steps)
        self.head = nn.Conv2d(width, classes, 1)

    def forward(self, maps: list[Tensor]) -> Tensor:
        """The encoder's maps, finest first, to logits (N, classes, H, W)."""
        features = maps[-1]
        for up, block, skip in zip(self.ups, self.blocks, reversed(maps[:-1]), strict=True):
            features = block(torch.cat([skip, up(features)], dim=1))
        return cast(Tensor, self.head(features))


class UNet(nn.Module):
    """Encoder and decoder; 17.5 M parameters at the paper's width of 48, 4.4 M at 24. Kaiming initialisation."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.encoder = Encoder(architecture.width)
        self.decoder = Decoder(architecture.width, architecture.classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 1, H, W) z-scored images to logits (N, classes, H, W); H and W divisible by 16."""
        return self.look(images)[0]

    def look(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """As `forward`, and with it the encoder's last map averaged over the image, (N, width · 16)."""
        if images.shape[-1] % STRIDE or images.shape[-2] % STRIDE:
            raise ValueError(f"found an input of {tuple(images.shape)}: expected sides divisible by {STRIDE}")
        maps = self.encoder(images)
        return self.decoder(maps), maps[-1].mean((2, 3))


def fuse_for_inference(network: UNet) -> UNet:
    """A copy in eval mode with every batch normalisation folded into its convolution, in channels-last layout."""
    fused = copy.deepcopy(network).eval()
    for block in [m for m in fused.modules() if isinstance(m, Block)]:
        for conv in (0, 3):
            convolution, norm = cast(nn.Conv2d, block[conv]), cast(nn.BatchNorm2d, block[conv + 1])
            block[conv] = fuse_conv_bn_eval(convolution, norm)
            block[conv + 1] = nn.Identity()
    return fused.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]
