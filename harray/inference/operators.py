"""What ONNX has no operator for, in operators that it has.

Within `ExportableOperators` the functions below take the place of torch's own: the model's code stays as it is, and so
do its values.
"""

from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode


class ExportableOperators(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return INSTEAD.get(func, func)(*args, **(kwargs or {}))


def cummax(x: Tensor, dim: int) -> SimpleNamespace:
    """The greatest so far along an axis of constant length, in as many steps as that has binary digits."""
    length, step = int(x.shape[dim]), 1
    while step < length:
        reached = torch.maximum(x.narrow(dim, step, length - step), x.narrow(dim, 0, length - step))
        x, step = torch.cat([x.narrow(dim, 0, step), reached], dim=dim), 2 * step
    return SimpleNamespace(values=x)


def nanmean(x: Tensor, dim: int) -> Tensor:
    """Mean of what is not NaN; NaN where nothing is."""
    known = ~x.isnan()
    return x.masked_fill(~known, 0.0).sum(dim=dim) / known.sum(dim=dim)


def nanmedian(x: Tensor, dim: int) -> SimpleNamespace:
    """The lower median of what is not NaN; NaN where nothing is."""
    unknown = x.isnan()
    ordered = x.masked_fill(unknown, torch.inf).sort(dim=dim).values
    count = (~unknown).sum(dim=dim, keepdim=True)
    middle = ordered.gather(dim, (count - 1).clamp(min=0) // 2)
    return SimpleNamespace(values=middle.masked_fill(count == 0, torch.nan).squeeze(dim))


def median(x: Tensor, dim: int) -> SimpleNamespace:
    """The lower median along an axis of constant length."""
    count = (int(x.shape[dim]) - 1) // 2 + 1
    least = x.topk(count, dim=dim, largest=False).values
    return SimpleNamespace(values=least.select(dim, count - 1))


def movedim(x: Tensor, source: int, destination: int) -> Tensor:
    """Move one axis; the exporter knows axes by numbers from 0 alone."""
    order = [axis for axis in range(x.dim()) if axis != source % x.dim()]
    order.insert(destination % x.dim(), source % x.dim())
    return x.permute(order)


_GETTER_OF_MT: Any = vars(torch._C.TensorBase)["mT"].__get__
INSTEAD: dict[Any, Any] = {
    torch.Tensor.__iand__: torch.Tensor.__and__,
    torch.Tensor.__ior__: torch.Tensor.__or__,
    _GETTER_OF_MT: lambda x: x.transpose(-2, -1),
    torch.Tensor.cummax: cummax,
    torch.Tensor.nanmean: nanmean,
    torch.Tensor.nanmedian: nanmedian,
    torch.Tensor.median: median,
    torch.Tensor.movedim: movedim,
}
