"""Operators that ONNX lacks, against torch's own."""

import pytest
import torch

from harray.inference.operators import ExportableOperators

NAN = float("nan")
WITH_GAPS = torch.tensor(
    [[3.0, NAN, 1.0, 2.0], [NAN, NAN, NAN, NAN], [5.0, NAN, NAN, 4.0], [2.0, 2.0, 7.0, -1.0]]
)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: x.nanmedian(dim=1).values,
        lambda x: x.nanmedian(dim=0).values,
        lambda x: x.nanmean(dim=1),
        lambda x: x.nan_to_num(0.0).median(dim=1).values,
        lambda x: x.nan_to_num(0.0).cummax(dim=1).values,
        lambda x: x.nan_to_num(0.0).long().cummax(dim=0).values,
        lambda x: x.mT,
        lambda x: x.view(2, 2, 4).movedim(-1, 0),
        lambda x: x.view(2, 2, 4).movedim(0, -1),
    ],
)
def test_an_operator_for_export_gives_what_torch_gives(call):
    with ExportableOperators():
        found = call(WITH_GAPS)
    torch.testing.assert_close(found, call(WITH_GAPS), rtol=0, atol=0, equal_nan=True)


def test_a_mask_changed_in_place_changes():
    with ExportableOperators():
        mask = torch.tensor([True, False])
        mask &= torch.tensor([False, True])
        row = torch.zeros(2, 2, dtype=torch.bool)
        row[:, 0] |= torch.tensor([True, False])
    assert mask.tolist() == [False, False] and row.tolist() == [[True, False], [False, False]]
