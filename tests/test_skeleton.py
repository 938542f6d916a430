import pytest

from harray.errors import InputError
from harray.skeleton import COCO17, LAYOUTS, PENN13, layout_named, layout_of_size


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


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_a_number_of_joints_tells_the_layout_in_the_coordinates_that_it_is_usual_in(layout):
    usual, other = (3, 2) if layout.name in ("kinect20", "ntu25") else (2, 3)
    assert layout_of_size(layout.num_joints, usual) is layout
    assert layout_of_size(layout.num_joints, other) == layout_named(f"generic{layout.num_joints}")


def test_joints_of_which_nothing_is_known_have_a_layout_without_bones():
    layout = layout_of_size(21, 3)
    assert layout == layout_named("generic21")
    assert (layout.name, layout.num_joints, layout.bones, layout.limbs) == ("generic21", 21, (), ())
    assert layout.flip_order == tuple(range(21))


@pytest.mark.parametrize("name", ["generic", "generic0", "generic-3", "generic07", "generic٣", "generic2.0"])
def test_a_generic_layout_needs_a_number_of_joints(name):
    with pytest.raises(InputError, match="genericN"):
        layout_named(name)
