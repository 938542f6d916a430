"""The scene network as a module that takes frames as they are: torchvision's ResNet-50 up to layer4.

Letters: F frames, H height, W width, C colour.
"""

import torch
from torchvision.models import resnet50

from harray.errors import InputError
from harray.scenes.config import RANDOM, ScenesConfig
from harray.scenes.random_weights import randomise
from harray.scenes.weights import KEY, resolve_scene_weights

IMAGENET_MEAN = (0.485, 0.456, 0.406)  # of RGB in [0, 1]; IMAGENET1K_V1
IMAGENET_STD = (0.229, 0.224, 0.225)


class SceneNetwork(torch.nn.Module):
    """uint8 RGB [F, H, W, 3] to features [F, 2048, H / 32, W / 32], not negative."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, trunk: torch.nn.Module):
        super().__init__()
        self.trunk = trunk
        for name, values in (("mean", IMAGENET_MEAN), ("std", IMAGENET_STD)):
            self.register_buffer(name, torch.tensor(values).view(1, 3, 1, 1) * 255.0, persistent=False)

    def forward(self, images_FHWC: torch.Tensor) -> torch.Tensor:
        dtype = next(self.trunk.parameters()).dtype
        normalised_FCHW = (images_FHWC.permute(0, 3, 1, 2).float() - self.mean) / self.std
        return self.trunk(normalised_FCHW.to(dtype))

    def halved(self) -> "SceneNetwork":
        """The trunk in float16, for GPUs."""
        self.trunk.half()
        return self


def load_trunk(config: ScenesConfig) -> torch.nn.Module:
    """ResNet-50 without its pooling and classifier, in eval mode.

    Raises:
        InputError: as `resolve_scene_weights`, or the file is no state dict of torchvision's ResNet-50.
    """
    with torch.device("meta"):  # no time for values that are replaced at once
        network = resnet50(weights=None)
    trunk = torch.nn.Sequential(*list(network.children())[:-2])
    if config.weights == RANDOM:
        trunk = trunk.to_empty(device="cpu")
        randomise(trunk, config.seed)
        return trunk
    path = resolve_scene_weights(config.weights)
    try:
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True), assign=True)
    except Exception as error:  # whatever a file of unknown content makes the reader raise
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"{KEY}={path}: not a state dict of torchvision's ResNet-50 ({reason[:200]})"
        ) from error
    return trunk.float().eval().requires_grad_(False)
