"""Differences and distances by hand."""

import pytest
import torch

from harray.features.kinematics import differences, pairwise_distances, people_distances


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
