"""Differences and distances by hand."""

import pytest
import torch

from harray.features.kinematics import bone_vectors, differences, pairwise_distances, people_distances, spread


@pytest.mark.parametrize(
    ("lag", "expected"), [(1, [0, 1, 3, 5]), (2, [0, 0, 4, 8]), (3, [0, 0, 0, 9]), (4, [0, 0, 0, 0])]
)
def test_differences_over_a_lag(lag, expected):
    squares = torch.tensor([0.0, 1.0, 4.0, 9.0]).reshape(1, 4, 1, 1)
    assert differences(squares, lag).flatten().tolist() == expected


def test_distances_of_every_two_joints():
    joints = torch.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 4.0]]).reshape(1, 1, 3, 2)
    assert pairwise_distances(joints).flatten().tolist() == pytest.approx([5, 4, 3], abs=1e-3)


def test_distances_to_the_nearest_other_person_and_none_to_the_absent():
    keypoints = torch.tensor([0.0, 3.0, 10.0]).reshape(1, 3, 1, 1, 1)  # one joint at 0, 3 and 10
    near = people_distances(keypoints, torch.tensor([[True, True, True]]))
    assert near.flatten().tolist() == pytest.approx([3, 3, 7], abs=1e-3)
    without_middle = people_distances(keypoints, torch.tensor([[True, False, True]]))
    assert without_middle.flatten().tolist() == pytest.approx([10, 0, 10], abs=1e-3)
    alone = people_distances(keypoints, torch.tensor([[True, False, False]]))
    assert alone.flatten().tolist() == [0, 0, 0]


def test_bones_point_from_parent_to_child():
    joints = torch.tensor([[1.0, 1.0], [4.0, 5.0], [0.0, 0.0]]).reshape(1, 1, 3, 2)
    assert bone_vectors(joints, ((0, 1), (1, 2))).flatten().tolist() == [3, 4, -4, -5]
    assert bone_vectors(joints, ()).shape == (1, 1, 0, 2)


@pytest.mark.parametrize(
    ("flags", "window", "expected"),
    [
        ("xxxx", 0, [1.5**0.5 / 1] * 4),  # 0 0 2 2 has deviation 1, and y adds 0.5 to the variance
        ("xx..", 0, [0.0] * 4),
        ("....", 0, [0.0] * 4),
        ("xxxx", 3, [0.0, (8 / 9) ** 0.5, (8 / 9) ** 0.5, 0.0]),
    ],
)
def test_spread_is_the_deviation_over_the_frames_that_count(flags, window, expected):
    x = torch.tensor([0.0, 0.0, 2.0, 2.0]).reshape(1, 4, 1, 1)
    y = torch.tensor([0.5, -0.5, 0.5, -0.5]).reshape(1, 4, 1, 1) * (window == 0) * 2**0.5
    seen = torch.tensor([c == "x" for c in flags]).reshape(1, 4, 1)
    if flags == "xx..":
        y = y * 0
    result = spread(torch.cat([x, y], dim=-1), seen, window).flatten().tolist()
    assert result == pytest.approx(expected, abs=2e-3)
