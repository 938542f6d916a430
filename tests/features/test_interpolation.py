"""Filling hidden joints, on one joint over six frames."""

import numpy as np
import pytest
import torch

from harray.features.interpolation import cubic, fill_hidden, interpolated, neighbours, neighbours_twice


def row(values):
    return torch.tensor(values, dtype=torch.float32).reshape(1, -1, 1, 1)


def seen(flags):
    return torch.tensor([c == "x" for c in flags]).reshape(1, -1, 1)


@pytest.mark.parametrize(
    ("flags", "how", "expected"),
    [
        ("x..x..", "linear", [0, 1, 2, 3, 3, 3]),
        (".x...x", "linear", [1, 1, 2, 3, 4, 5]),
        ("x..x..", "hold", [0, 0, 0, 3, 3, 3]),
        (".x...x", "hold", [1, 1, 1, 1, 1, 5]),
        ("x..x..", "zero", [0, 0, 0, 3, 0, 0]),
        ("......", "linear", [0] * 6),
        ("......", "hold", [0] * 6),
        ("xxxxxx", "linear", [0, 1, 2, 3, 4, 5]),
    ],
)
def test_hidden_joints_are_filled_from_their_neighbours_in_time(flags, how, expected):
    truth = row([0, 1, 2, 3, 4, 5])
    result = fill_hidden(torch.where(seen(flags)[..., None], truth, 99.0), seen(flags), how)
    assert result.flatten().tolist() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("flags", "before", "after"),
    [
        ("x..x..", [-1, 0, 0, 0, 3, 3], [3, 3, 3, -1, -1, -1]),
        ("xxxxxx", [-1, 0, 1, 2, 3, 4], [1, 2, 3, 4, 5, -1]),
        ("......", [-1] * 6, [-1] * 6),
    ],
)
def test_a_frame_left_out_is_not_its_own_neighbour(flags, before, after):
    near = neighbours(seen(flags), leave_out_own_frame=True)
    assert near.before_MTK.flatten().tolist() == before
    assert near.after_MTK.flatten().tolist() == after


def test_leaving_out_the_own_frame_reads_the_middle_of_its_neighbours():
    near = neighbours(seen("xxx"), leave_out_own_frame=True)
    assert interpolated(row([0, 50, 4]).movedim(-1, 0), near).flatten().tolist() == pytest.approx([50, 2, 50])


def test_the_cubic_is_scipys_shape_preserving_one_where_four_neighbours_are_known():
    from scipy.interpolate import PchipInterpolator

    torch.manual_seed(0)
    keypoints, visible = torch.rand(30, 16, 3, 2), torch.rand(30, 16, 3) < 0.5
    frames = neighbours_twice(visible)
    known = torch.where(visible[..., None], keypoints, torch.nan).nan_to_num(99.0)
    filled = cubic(known.movedim(-1, 0), frames).movedim(0, -1)
    surrounded = (torch.stack(frames) >= 0).all(dim=0) & ~visible
    assert surrounded.sum() > 100
    for row, frame, joint in surrounded.nonzero().tolist():
        seen = visible[row, :, joint].numpy()
        curve = PchipInterpolator(np.arange(16)[seen], keypoints[row, :, joint].numpy()[seen])
        assert filled[row, frame, joint].numpy() == pytest.approx(curve(frame), abs=1e-4)


def test_the_cubic_leaves_the_own_frame_out_and_holds_outside():
    keypoints = torch.tensor([9.0, 2, 9, 4, 9]).reshape(1, 5, 1, 1)
    visible = torch.tensor([False, True, False, True, False]).reshape(1, 5, 1)
    filled = cubic(keypoints.movedim(-1, 0), neighbours_twice(visible))
    assert filled.flatten().tolist() == pytest.approx([2, 4, 3, 2, 4])
    assert cubic(keypoints.movedim(-1, 0), neighbours_twice(visible & False)).flatten().tolist() == [0.0] * 5
