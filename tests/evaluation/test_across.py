"""Across data sets: classes by name, joints by theirs, and what cannot be compared is said."""

import pytest
import torch

from harray.errors import InputError
from harray.evaluation.across import compared, in_layout, read_class_map
from harray.evaluation.evaluate import clips_across, evaluate
from harray.features.config import FeaturesConfig
from harray.features.tensors import load_clips
from harray.inference import Predictor
from harray.model.network import FusionNetwork
from harray.skeleton import layout_named
from harray.training.checkpoint import Checkpoint
from tests.toys import TINY_MODEL, arm_store

CLASSES = ("down", "up", "wave")


def coco_model() -> Predictor:
    """A model of another layout than the toy store's, with weights as they were drawn."""
    layout = layout_named("coco17")
    shape = {"num_people": 1, "num_frames": 8, "num_joints": 17, "num_coordinates": 2}
    network = FusionNetwork(TINY_MODEL, **shape, scene_dim=None, num_classes=len(CLASSES), bones=layout.bones)
    made = Checkpoint(
        network=network.eval(),
        features=FeaturesConfig(),
        classes=CLASSES,
        skeleton=layout,
        scene_grid=None,
        store_digest="",
    )
    return Predictor(made, device="cpu")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("label;class\na;b\n", "begins with label;class; expected label,class"),
        ("", "begins with nothing"),
        ("label,class\na,b\na,c\n", "'a' stands for 'b' and for 'c'; keep one row"),
        ("label,class\na\n", "'a' is no row"),
    ],
)
def test_a_map_that_cannot_be_read_is_refused_in_a_line(tmp_path, text, said):
    file = tmp_path / "map.csv"
    file.write_text(text)
    with pytest.raises(InputError, match=said):
        read_class_map(file)
    with pytest.raises(InputError, match="No such file"):
        read_class_map(tmp_path / "none.csv")


def test_a_map_is_read_with_blanks_blank_lines_and_empty_classes(tmp_path):
    file = tmp_path / "map.csv"
    file.write_text("\ufefflabel,class\nrise, up\n\nsit,\n", encoding="utf-8")
    assert read_class_map(file) == {"rise": "up", "sit": ""}


def test_labels_of_the_same_name_are_compared_unless_the_map_says_otherwise():
    labels = ["up", "rise", "rise", "sit", None, "down"]
    found = compared({"rise": "up", "down": ""}, labels, sorted(set(filter(None, labels))), CLASSES)
    assert found.classes == {"rise": "up", "up": "up"}
    assert found.left_out == {"down": 1, "sit": 1}
    assert found.unused == ("down", "wave")
    assert found.lines[:2] == [
        "compared: rise as up, up",
        "not compared, 2 clips of labels without a class: down (1), sit (1)",
    ]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"risen": "up"}, "the store has no label risen; its labels: rise, sit"),
        ({"rise": "top"}, "the model has no class top; its classes: down, up, wave"),
        ({}, "no label is a class of the model: the clips have rise, sit, the model down, up, wave"),
    ],
)
def test_names_that_nobody_knows_are_refused_in_a_line(given, said):
    with pytest.raises(InputError, match=said):
        compared(given, ["rise", "sit"], ["rise", "sit"], CLASSES)


def test_joints_are_found_by_name_and_absent_ones_are_hidden(tmp_path):
    clips = load_clips(arm_store(tmp_path / "store", [{"path": "/a.mp4"}, {"path": "/b.mp4"}]))
    coco = layout_named("coco17")
    known, absent = in_layout(clips, coco)
    assert absent == ("nose", "left_eye", "right_eye", "left_ear", "right_ear")
    here, there = coco.joints.index("left_wrist"), clips.skeleton.joints.index("left_wrist")
    assert torch.equal(known.keypoints_NPTKC[..., here, :], clips.keypoints_NPTKC[..., there, :])
    assert not known.confidence_NPTK[..., coco.joints.index("nose")].any()
    with pytest.raises(InputError, match="have 0 joints of the model's hand21, too few to compare"):
        in_layout(clips, layout_named("hand21"))


def test_a_store_of_other_labels_without_splits_is_scored_whole(tmp_path):
    rows = [
        {"path": f"/{number}.mp4", "label": ("rise", "sit", "fall")[number % 3], "splits": []}
        for number in range(9)
    ]
    store = arm_store(tmp_path / "other", rows, scene=False)
    predictor = coco_model()
    names = {"rise": "up", "fall": "down"}
    found, clips = clips_across(predictor, store, "all", names)
    assert clips.labels_N.tolist() == [1, 0] * 3 and clips.classes == CLASSES
    report = evaluate(predictor, store, "all", model="m", occlusion=False, class_names=names)
    assert report.scores.num_clips == 6 and report.class_map == found
    assert report.to_json()["class_map"]["left_out"] == {"sit": 3}
    assert "nose" in found.absent_joints
    with pytest.raises(InputError, match="holds penn13 skeletons, the model was trained on coco17"):
        evaluate(predictor, store, "all", model="m", occlusion=False)
