"""Random ResNet-50 weights whose activations are well scaled, for use without ImageNet's.

A random network still tells colours, textures and coarse shapes apart, if its batch norms fit its activations:
otherwise the signal of fifty layers drowns in their means. So the statistics are taken from seeded pictures of
smooth noise, and the residual branches are damped, which keeps the input's differences from being folded away.
Cf. Saxe et al. 2011, "On random weights and unsupervised feature learning".
"""

import torch
from torch import nn

CALIBRATION_PICTURES, CALIBRATION_SIZE = 12, 128  # px
RESIDUAL_GAIN = (
    0.25  # weight of the last batch norm of every block; at 1 the branches drown what the input was
)


def randomise(trunk: nn.Module, seed: int) -> None:
    """Fill a ResNet trunk with seeded weights and calibrate its batch norms; leaves it frozen, in eval mode."""
    generator = torch.Generator().manual_seed(seed)
    last_norms: list[nn.BatchNorm2d] = []
    for module in trunk.modules():
        if isinstance(module, nn.Conv2d):
            fan_out = module.out_channels * module.kernel_size[0] * module.kernel_size[1]
            module.weight.data.normal_(0.0, (2.0 / fan_out) ** 0.5, generator=generator)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
            module.momentum = None  # cumulative mean of what follows
        if isinstance(last_norm := getattr(module, "bn3", None), nn.BatchNorm2d):
            last_norms.append(last_norm)
    for last_norm in last_norms:
        nn.init.constant_(last_norm.weight, RESIDUAL_GAIN)
    trunk.train()
    with torch.no_grad():
        trunk(noise_pictures(generator, CALIBRATION_PICTURES, CALIBRATION_SIZE))
    trunk.eval().requires_grad_(False)


def noise_pictures(generator: torch.Generator, count: int, image_size: int) -> torch.Tensor:
    """Normalised pictures [count, 3, image_size, image_size]: sums of smooth noise, coarse patches the strongest."""
    pictures = torch.zeros(count, 3, image_size, image_size)
    for cells, strength in ((2, 1.0), (5, 0.6), (13, 0.4), (37, 0.3)):
        noise = torch.randn(count, 3, cells, cells, generator=generator) * strength
        pictures += nn.functional.interpolate(noise, (image_size, image_size), mode="bilinear")
    return pictures
