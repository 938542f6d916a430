import pickle
import pickletools

import numpy as np
import pytest

from harray.errors import InputError
from harray.interchange.annotations import Annotation
from harray.interchange.pickles import SkeletonFile, read_skeletons, write_skeletons


def fields(frame_dir="a", people=1, frames=3, joints=17, coordinates=2, **changes):
    """An annotation as other programs write it; a change to None takes the field away."""
    keypoint = np.arange(people * frames * joints * coordinates, dtype=np.float16) % 7
    values = {
        "frame_dir": frame_dir,
        "total_frames": frames,
        "label": 0,
        "img_shape": (240, 320),
        "original_shape": (240, 320),
        "keypoint": keypoint.reshape(people, frames, joints, coordinates),
        "keypoint_score": np.full((people, frames, joints), 0.5, np.float16),
        **changes,
    }
    return {name: value for name, value in values.items() if value is not None}


@pytest.fixture
def saved(tmp_path):
    def save(content, protocol=2):
        path = tmp_path / "clips.pkl"
        path.write_bytes(pickle.dumps(content, protocol))
        return path

    return save


def test_split_layout_and_class_names_are_read_beside_the_annotations(saved):
    content = {
        "split": {"train1": ["a", "b"], "test1": np.array(["b"])},
        "annotations": [fields("a"), fields("b", people=2, frames=5, label=np.int64(1))],
        "skeleton": "coco17",
        "label_map": [np.str_("run"), "sit"],
    }
    file = read_skeletons(saved(content))
    assert file.splits == {"train1": ["a", "b"], "test1": ["b"]}
    assert (file.skeleton, file.label_map, file.people_ranked) == ("coco17", ("run", "sit"), False)
    assert [each.frame_dir for each in file.annotations] == ["a", "b"]
    assert [each.label for each in file.annotations] == [0, 1]
    assert file.annotations[0].size_hw == (240, 320)
    np.testing.assert_array_equal(file.annotations[1].keypoints_MTVC, content["annotations"][1]["keypoint"])
    assert (file.num_joints, file.num_coordinates) == (17, 2)


@pytest.mark.parametrize("content", [[fields()], {"annotations": [fields()]}, fields()])
def test_a_list_of_annotations_and_a_single_one_are_read_too(saved, content):
    file = read_skeletons(saved(content))
    assert [each.frame_dir for each in file.annotations] == ["a"]
    assert file.splits == {}


@pytest.mark.parametrize(
    "keypoint",
    [[[[[1.0, 2.0], [3.0, 4.0]]]], [np.array([[[1.0, 2.0], [3.0, 4.0]]])], (((np.array([1, 2]), [3, 4]),),)],
)
def test_nested_lists_are_arrays_too(saved, keypoint):
    file = read_skeletons(saved([fields(total_frames=1, keypoint=keypoint, keypoint_score=[[[1, 0]]])]))
    assert file.annotations[0].keypoints_MTVC.tolist() == [[[[1, 2], [3, 4]]]]


def test_a_3d_file_needs_neither_scores_nor_a_picture(saved):
    values = fields(coordinates=3, joints=25, keypoint_score=None, img_shape=None, original_shape=None)
    file = read_skeletons(saved([values]))
    assert file.annotations[0].scores_MTV is None
    assert file.annotations[0].size_hw == (0, 0)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"annotations": []}, "no annotations"),
        ([], "no annotations"),
        ({"split": {}, "data": []}, "found the keys split, data; expected .* split and annotations"),
        ("text", "found str"),
        ({"annotations": {"a": fields()}}, "annotations"),
        ([fields(), fields("b", label=None)], r"annotation 1 \(b\): no field label"),
        ([fields(keypoint=None)], r"annotation 0 \(a\): no field keypoint"),
        ([fields(frame_dir=None)], "annotation 0: no field frame_dir"),
        ([fields(total_frames=None, label=None)], "no field total_frames and label"),
        ([fields(img_shape=None)], "img_shape: found none"),
        ([fields(), 3], "annotation 1: found int"),
        ([fields(img_shape=(240,))], r"img_shape: found \[240"),
        ([fields(img_shape=(0, np.inf))], "img_shape"),
        ([fields(keypoint=[[[[1, 2], [3]]]])], "keypoint: found ragged lists"),
        ([fields(keypoint=[np.zeros((3, 17, 2)), np.zeros((2, 17, 2))])], "keypoint: found ragged lists"),
        ([fields(keypoint=[[[["1", "2"]]]])], "keypoint: found entries of type <U1"),
        ([fields(keypoint=[[[[1, None]]]])], "keypoint: found entries of type object"),
        ([fields(keypoint="path.npy")], "keypoint: found str"),
        ([fields(keypoint=np.zeros((3, 17, 2)))], r"keypoint: found shape \(3, 17, 2\)"),
        ([fields(keypoint=np.zeros((1, 3, 17, 4)))], r"keypoint: found shape \(1, 3, 17, 4\)"),
        ([fields(frames=0)], "keypoint: found shape"),
        ([fields(total_frames=4)], "total_frames: found 4, expected 3"),
        (
            [fields(keypoint_score=np.zeros((1, 2, 17)))],
            r"keypoint_score: found shape \(1, 2, 17\), expected",
        ),
        ([fields(keypoint_score=np.zeros((1, 3, 17, 1)))], "keypoint_score"),
        ([fields(label=-1)], "label: found -1"),
        ([fields(label="run")], "label: found 'run'"),
        ([fields(label=True)], "label: found True"),
        ([fields(frame_index=[0, 1])], r"frame_index: found shape \(2,\)"),
        ([fields(frame_sec=[0, 1, np.nan])], "frame_sec"),
        ([fields(), fields("b", joints=13)], r"annotation 1 \(b\): keypoint: found \(13, 2\)"),
        ([fields(), fields()], "frame_dir a stands there 2 times"),
        ({"split": {"train": ["a", "z"]}, "annotations": [fields()]}, "split train names z"),
        ({"split": ["a"], "annotations": [fields()]}, "split: found list"),
        ({"split": {"train": [1]}, "annotations": [fields()]}, "train: found list, expected a list of names"),
        ({"label_map": {"run": 0}, "annotations": [fields()]}, "label_map: found dict"),
    ],
)
def test_what_does_not_fit_is_refused_by_annotation_and_field(saved, content, words):
    path = saved(content)
    with pytest.raises(InputError, match=words) as error:
        read_skeletons(path)
    assert str(error.value).startswith(str(path))


def test_a_file_that_is_not_there_or_no_pickle_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_skeletons(tmp_path / "gone.pkl")
    (tmp_path / "text.pkl").write_text("a, b\n1, 2\n")
    with pytest.raises(InputError, match="not a pickle"):
        read_skeletons(tmp_path / "text.pkl")


@pytest.fixture
def written(tmp_path):
    file = SkeletonFile(
        annotations=[
            Annotation(
                frame_dir="a",
                label=1,
                size_hw=(1080, 1920),
                keypoints_MTVC=np.full((2, 3, 17, 2), 1919.125, np.float32),
                scores_MTV=np.full((2, 3, 17), 0.3, np.float32),
                frame_index_T=np.array([0, 4, 9], np.int32),
                frame_sec_T=np.array([0, 0.16, 0.36]),
                group="g1",
            ),
            Annotation(frame_dir="b", label=0, size_hw=(240, 320), keypoints_MTVC=np.ones((1, 2, 17, 2))),
        ],
        splits={"train": ["a"], "test": ["b"]},
        skeleton="coco17",
        label_map=("run", "sit"),
        people_ranked=True,
    )
    write_skeletons(tmp_path / "out.pkl", file)
    return tmp_path / "out.pkl", file


def test_a_written_file_has_the_published_fields_and_types(written):
    path, _ = written
    content = pickle.loads(path.read_bytes())
    assert content["split"] == {"train": ["a"], "test": ["b"]}
    assert (content["skeleton"], content["label_map"]) == ("coco17", ["run", "sit"])
    first, second = content["annotations"]
    assert {name: first[name] for name in ("frame_dir", "total_frames", "label")} == {
        "frame_dir": "a",
        "total_frames": 3,
        "label": 1,
    }
    assert first["img_shape"] == first["original_shape"] == (1080, 1920)
    assert (first["keypoint"].dtype, first["keypoint"].shape) == (np.float32, (2, 3, 17, 2))
    assert (first["keypoint_score"].dtype, first["keypoint_score"].shape) == (np.float32, (2, 3, 17))
    assert first["keypoint"].flags.writeable
    assert first["keypoint"][0, 0, 0, 0] == 1919.125
    assert not {"keypoint_score", "frame_index", "frame_sec", "group"} & set(second)


def test_a_written_file_names_nothing_that_only_one_numpy_has(written):
    path, _ = written
    operations = list(pickletools.genops(path.read_bytes()))
    assert (operations[0][0].name, operations[0][1]) == ("PROTO", 4)
    texts = {argument for _, argument, _ in operations if isinstance(argument, str)}
    assert {"ndarray", "dtype"} <= texts
    assert [text for text in texts if "numpy" in text] == ["numpy"]


def test_what_was_written_is_read_back_the_same(written):
    path, file = written
    found = read_skeletons(path)
    assert (found.splits, found.skeleton, found.label_map) == (file.splits, file.skeleton, file.label_map)
    assert found.people_ranked
    for before, after in zip(file.annotations, found.annotations, strict=True):
        for name, value in vars(before).items():
            np.testing.assert_array_equal(getattr(after, name), value)
