import pytest

from harray.errors import InputError
from harray.skeleton import (
    BODY25,
    COCO17,
    LAYOUTS,
    PENN13,
    layout_from,
    layout_named,
    layout_of_size,
    own_layout,
    places_in,
    sided_pairs,
    to_data,
)


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
        layout_named("mpii16")


USUAL = {
    3: ("kinect20", "ntu25"),
    2: ("coco17", "penn13", "jhmdb15", "coco18", "halpe26", "blazepose33"),
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_a_number_of_joints_tells_the_layout_in_the_coordinates_that_it_is_usual_in(layout):
    for coordinates, names in USUAL.items():
        expected = layout if layout.name in names else layout_named(f"generic{layout.num_joints}")
        if not any(LAYOUTS[name].num_joints == layout.num_joints and name != layout.name for name in names):
            assert layout_of_size(layout.num_joints, coordinates) == expected


def test_twenty_five_joints_in_2d_are_not_told_by_their_number():
    assert layout_of_size(25, 2) == layout_named("generic25")


def test_a_layout_of_its_own_is_told_by_its_joints_and_travels_as_data():
    layout = own_layout(["snout", "leftear", "rightear", "tailbase"], [(0, 1), (0, 2)])
    assert layout.flip_pairs == ((1, 2),)
    assert layout_from(layout.name, to_data(layout)) == layout
    assert to_data(COCO17) is None
    assert own_layout(["snout", "leftear", "rightear", "tailbase"]).name != layout.name


@pytest.mark.parametrize(
    ("names", "pairs"),
    [
        (["wingL", "wingR", "head"], ((0, 1),)),
        (["forelegL4", "forelegR4"], ((0, 1),)),
        (["left_eye", "right_eye"], ((0, 1),)),
        (["l_eye", "r_eye"], ((0, 1),)),
        (["LShoulder", "RShoulder"], ((0, 1),)),
        (["Left Paw", "Right Paw"], ((0, 1),)),
        (["tail", "taillong", "nose"], ()),
        (["belly", "berry"], ()),
    ],
)
def test_left_and_right_are_told_by_names_that_differ_in_the_side_alone(names, pairs):
    assert sided_pairs(names) == pairs


def test_joints_of_two_layouts_meet_by_their_names():
    places = places_in(BODY25, COCO17)
    assert [BODY25.joints[place] for place in places] == list(COCO17.joints)
    assert places_in(PENN13, COCO17)[0] is None


def test_joints_of_which_nothing_is_known_have_a_layout_without_bones():
    layout = layout_of_size(21, 3)
    assert layout == layout_named("generic21")
    assert (layout.name, layout.num_joints, layout.bones, layout.limbs) == ("generic21", 21, (), ())
    assert layout.flip_order == tuple(range(21))


@pytest.mark.parametrize("name", ["generic", "generic0", "generic-3", "generic07", "generic٣", "generic2.0"])
def test_a_generic_layout_needs_a_number_of_joints(name):
    with pytest.raises(InputError, match="genericN"):
        layout_named(name)
