"""Protocols: a network that is ready to run, and what a room provides so that other runtimes can run its network.

Letters: B frames of a batch, H height, W width, C colour.
"""

import dataclasses
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np

if TYPE_CHECKING:
    import torch

Output: TypeAlias = "np.ndarray | torch.Tensor"


class Network(Protocol):
    """A network that is ready to run."""

    def __call__(self, images_BHWC: np.ndarray) -> Output:
        """float32 output for uint8 RGB [B, H, W, 3], any B, H and W that the network takes.

        A tensor on its device, or an array where no torch took part: torch weighs half a gigabyte in a process.
        """
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Disagreement:
    """By how much two outputs for the same frames differ, and the limit."""

    value: float
    limit: float
    what: str  # name of the quantity, with its unit

    def __str__(self) -> str:
        return f"{self.what} {self.value:.3g}, at most {self.limit:g}"


class NetworkSpec(Protocol):
    """A network before it runs anywhere.

    Attributes:
        room: "poses" or "scenes"; `{room}.backend` and `{room}.precision` are the config keys.
        precision: the latter's value.
    """

    room: str

    @property
    def precision(self) -> str: ...

    def digest(self) -> str:
        """Digest of everything that determines the network's output: weights, code, libraries."""
        ...

    def build(self, device: str, precision: str) -> "torch.nn.Module":
        """The module in eval mode on that device, in fp32 or fp16: uint8 [B, H, W, 3] to one float tensor."""
        ...

    def samples(self) -> list[np.ndarray]:
        """Test inputs, uint8 [B, H, W, 3] of different shapes, similar to what the network will see."""
        ...

    def disagreement(self, reference: np.ndarray, other: np.ndarray) -> Disagreement:
        """Compare what torch (`reference`) and another runtime give for the same sample, both in float32."""
        ...

    def loss(self, reference: np.ndarray, other: np.ndarray) -> Disagreement:
        """By how much a lower precision changes what comes of the network, beside torch in float32."""
        ...


def on_host(output: Output) -> np.ndarray:
    """An output, or a part of one, as an array."""
    return output if isinstance(output, np.ndarray) else output.cpu().numpy()
