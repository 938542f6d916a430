import pytest

from harray.errors import InputError
from harray.skeleton import COCO17, LAYOUTS, PENN13, layout_named


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_mirroring_twice_changes_nothing_and_bones_connect_every_joint(layout):
    order = layout.flip_order
    assert [order[i] for i in order] == list(range(layout.num_joints))
    reached = {0}
    while more := {j for bone in layout.bones for j in bone if reached & set(bone)} - reached:
        reached |= more
    assert reached == set(range(layout.num_joints))


def test_left_and_right_change_places():
    assert COCO17.flip_order[:5] == (0, 2, 1, 4, 3)
    assert PENN13.flip_order[:3] == (0, 2, 1)


def test_limbs_are_the_chains_that_vanish_together():
    names = [{COCO17.joints[j] for j in limb} for limb in COCO17.limbs]
    assert {"left_elbow", "left_wrist"} in names
    assert {"right_knee", "right_ankle"} in names


def test_an_unknown_layout_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match="coco17, penn13"):
        layout_named("coco18")
