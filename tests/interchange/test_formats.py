"""Keypoints of other tools: real files of theirs, and files made here of every format with right values in them."""

import dataclasses
import gzip
import json
import pickle

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from harray.errors import InputError
from harray.inference import Predictor
from harray.interchange.keypoint_files import Reading, read_keypoints
from harray.interchange.skeleton_export import export_skeletons
from harray.interchange.skeleton_import import ImportOptions, import_skeletons
from harray.skeleton import BLAZEPOSE33, BODY25, COCO17, COCO18, KINECT20
from harray.store import FeatureStore
from harray.training.config import LearningConfig, TrainingConfig
from harray.training.run import TrainingRequest, train_store
from tests.toys import TINY_MODEL

# path below formats/, layout, clips, and of the first clip: [people or None, frames], label, group
REAL = [
    ("ntu_skeleton/Lev*/S001C001P001R001A011.skeleton", "ntu25", 1, (1, 82), "reading", "P001"),
    ("ntu_skeleton/Lev*/S001C003P008R002A058.skeleton", "ntu25", 1, (2, 70), "handshaking", "P008"),
    ("openpose/perf*/multi_cam01_json", "body25", 1, (3, 12), None, None),
    ("openpose/perf*/single_cam01_json", "body25", 1, (2, 12), None, None),
    ("openpose/tty*/Session_1", "body25", 1, (None, 30), None, None),
    ("openpose/tty*/Session_2", "body25", 1, (1, 8), None, None),
    ("openpose/aka*/random_keypoints.json", "coco18", 1, (2, 1), None, None),
    ("openpose_like/hlu*/S004C002P003R001A055_rgb", "coco18", 1, (2, 6), None, None),
    ("alphapose/jack*/alphapose-results.json", "halpe26", 1, (2, 809), None, None),
    ("alphapose/Sang*/alphapose-results.json", "coco17", 1, (None, 727), None, None),
    ("alphapose/alter*/alphapose-results.json", "coco17", 1, (1, 1), None, None),
    ("coco_keypoints/coco*/*_results.json", "coco17", 1, (None, 47), None, None),
    ("coco_keypoints/openvino*/person_keypoints_train.json", "generic3", 1, (1, 1), None, None),
    ("coco_keypoints/openvino*/person_keypoints_val.json", "generic3", 1, (2, 1), None, None),
    ("yolo_pose/theo*/image0.txt", "coco17", 1, (12, 1), None, None),
    ("yolo_pose/openvino*/yolov8_pose/1.txt", "generic3", 1, (1, 1), None, None),
    ("yolo_pose/openvino*/yolov8_pose_two*/1.txt", "generic3", 1, (1, 1), None, None),
    ("mediapipe_pose/Abd*/coords.csv", "blazepose33", 1198, (1, 1), "down", None),
    ("mediapipe_pose/Ngo*/kaggle.csv", "own17-948d3e8d", 171, (1, 1), "C", None),
    ("mediapipe_pose/riy*/wrong87.json", "blazepose33", 1, (1, 29), None, None),
    ("mediapipe_pose/riy*/wrong97.json", "blazepose33", 1, (1, 88), None, None),
    ("movenet/riy*", "coco17", 2, (1, 33), None, None),
    ("kinetics_skeleton/hlu*", "coco18", 3, (None, 189), "flipping pancake", None),
    ("penn_action/sam*/0005.mat", "penn13", 1, (1, 48), "baseball_pitch", None),
    ("penn_action/sam*/2326.mat", "penn13", 1, (1, 52), "tennis_serve", None),
    ("jhmdb/Jak*/Goal*", "jhmdb15", 1, (1, 40), "catch", "Goal_Keeping_Tips"),
    ("deeplabcut/ben*/openfield_dlc_inference_example.csv", "own4-0cb80323", 1, (1, 2330), None, None),
    ("deeplabcut/ben*/*missingdata.csv", "own4-0cb80323", 1, (1, 2330), None, None),
    ("sleap/ben*/sample_sleap.h5", "own13-541feb99", 1, (2, 3000), None, None),
    ("msr_action3d_kinect20/raj*", "kinect20", 3, (1, 54), "a01", "s01"),
    ("datumaro/openvino*/with_skeleton/default.json", "own3-124421e1", 1, (1, 1), None, None),
]
REFUSED = [
    ("ntu_skeleton/coek*/*.skeleton", "26 joints"),
    ("alphapose/Sang*/alpha-pose-results-sample.json", "not JSON"),
    ("deeplabcut/ben*/lfs_pointer/*.csv", "git lfs pull"),
    ("mmaction2_pickle/*/sample.pkl", "keypoint"),
    ("mmaction2_pickle/*/joint.pkl", "nothing of it was run"),
    ("pyskl_like_pickles/*/eval_label.pkl", "tuple"),
    ("ava/open-mmlab*/ava_proposals_sample.pkl", "keys split and annotations"),
    ("ntu_missing/open-mmlab*/*.txt", "no keypoints of a known format"),
    ("kinetics_skeleton/*/kinetics_train_label.json", "--labels"),
    ("boris/*/test*.csv", "no keypoints of a known format"),
    ("charades/*/*200.csv", "no keypoints of a known format"),
    ("activitynet_segments/*/gt.json", "no keypoints of a known format"),
]


def read(path, **how):
    return read_keypoints(path, Reading(**how))


@pytest.fixture
def formats(shared_data):
    def find(pattern):
        return sorted((shared_data / "formats").glob(pattern))[0]

    return find


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pattern", "layout", "num_clips", "size", "label", "group"), REAL, ids=[each[0] for each in REAL]
)
def test_a_real_file_gives_what_is_in_it(formats, pattern, layout, num_clips, size, label, group):
    file = read(formats(pattern))
    assert (file.skeleton, len(file.annotations)) == (layout, num_clips)
    first = file.annotations[0]
    people, frames = first.keypoints_MTVC.shape[:2]
    assert (size[0] or people, size[1]) == (people, frames)
    assert (first.label, first.group) == (label, group)
    assert file.said


@pytest.mark.parametrize(("pattern", "words"), REFUSED, ids=[each[0] for each in REFUSED])
def test_a_real_file_that_is_something_else_is_refused_in_one_line(formats, pattern, words):
    with pytest.raises(InputError, match=words) as refusal:
        read(formats(pattern))
    assert "\n" not in str(refusal.value)


def test_the_real_files_mean_what_is_known_of_them(formats):
    first, second, third = read(formats("ntu_skeleton/Lev*")).annotations
    assert (first.scores_MTV == 0.5).sum() == 113
    splits = read(formats("ntu_skeleton/Lev*")).splits
    assert splits["xsub_train"] == [first.frame_dir, second.frame_dir]
    assert (splits["xsub_test"], splits["xview_train"]) == ([third.frame_dir], [second.frame_dir])
    single = read(formats("openpose/perf*/single_cam01_json")).annotations[0]
    assert sorted(single.scores_MTV.mean(axis=(1, 2)).round(2)) == pytest.approx([0.37, 0.64], abs=0.02)
    jhmdb = read(formats("jhmdb/Jak*"))
    np.testing.assert_array_equal(*[each.keypoints_MTVC for each in jhmdb.annotations])
    penn = read(formats("penn_action/sam*/0979.mat"))
    assert penn.splits == {"test": ["0979"]}
    assert penn.annotations[0].size_hw == (393, 480)
    sleap = read(formats("sleap/ben*/sample_sleap.h5"))
    assert (6, 5) not in sleap.layout.flip_pairs and (5, 6) in sleap.layout.flip_pairs
    kinetics = read(formats("kinetics_skeleton/hlu*/kinetics_train"))
    assert kinetics.annotations[0].label == "hugging other person"
    assert kinetics.annotations[0].scores_MTV.max() == 1
    movement = (
        read(formats("msr_action3d_kinect20/raj*")).annotations[0].keypoints_MTVC[0].std(axis=0).sum(axis=-1)
    )
    assert movement[KINECT20.joints.index("right_hand")] > 5 * movement[KINECT20.joints.index("left_hand")]


def pose(num_joints, frames=6, seed=0):
    """float [frames, joints, 2] px of somebody who moves a little."""
    random = np.random.default_rng(seed)
    start = random.uniform(50, 200, (1, num_joints, 2))
    return start + np.arange(frames)[:, None, None] * 2.0


def flat(points, scores=None):
    values = np.concatenate([points, np.full((len(points), 1), 0.9) if scores is None else scores], axis=1)
    return values.ravel().tolist()


def save(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def openpose_folder(folder, points, key="pose_keypoints_2d", name="walk_{:012d}_keypoints.json"):
    for number, frame in enumerate(points):
        save(
            folder / name.format(number), {"version": 1.3, "people": [{"person_id": [-1], key: flat(frame)}]}
        )
    return folder


@pytest.mark.parametrize(("joints", "layout"), [(25, BODY25), (18, COCO18)])
def test_openpose_frames_become_a_clip(tmp_path, joints, layout):
    points = pose(joints, frames=12)
    file = read(openpose_folder(tmp_path / "clips", points))
    (clip,) = file.annotations
    assert (file.layout, clip.frame_dir) == (layout, "walk")
    np.testing.assert_allclose(clip.keypoints_MTVC[0], points, rtol=1e-5)
    np.testing.assert_allclose(clip.scores_MTV, 0.9, rtol=1e-5)


def test_openpose_of_body_25b_is_told_by_where_joints_lie(tmp_path):
    from harray.interchange.formats.body25b import ORDER_B

    body = {"nose": (0, 0), "neck": (0, 20), "head": (0, -20), "mid_hip": (0, 80)}
    places = {"eye": (0.3, -3), "ear": (0.7, 0), "shoulder": (1.5, 20), "elbow": (1.8, 50), "wrist": (2, 75)}
    places |= {"hip": (1, 80), "knee": (1, 120), "ankle": (1, 160)}
    places |= {"big_toe": (1.2, 170), "small_toe": (1.6, 168), "heel": (0.9, 165)}
    for side, x in (("left", 10), ("right", -10)):
        body |= {f"{side}_{name}": (x * wide, y) for name, (wide, y) in places.items()}
    expected = np.array([body[joint] for joint in BODY25.joints], float) + 300
    for order in (BODY25.joints, ORDER_B):
        points = np.array([[body[joint] for joint in order]] * 4, float) + 300
        (clip,) = read(openpose_folder(tmp_path / order[1], points)).annotations
        np.testing.assert_allclose(clip.keypoints_MTVC[0, 0], expected, atol=1e-3)
    assert not any("another order" in line for line in read(tmp_path / order[1]).said)
    shuffled = points[:, np.random.default_rng(0).permutation(25)]
    assert any("another order" in line for line in read(openpose_folder(tmp_path / "odd", shuffled)).said)


def test_frames_are_ordered_by_number_and_those_that_lack_show_nobody(tmp_path):
    points = pose(25, frames=12)
    folder = openpose_folder(tmp_path / "clips", points, name="walk.{}.json")
    (folder / "walk.5.json").unlink()
    save(folder / "walk.7.json", {"people": []})
    (clip,) = read(folder).annotations
    assert np.flatnonzero(clip.scores_MTV[0].any(axis=1)).tolist() == [0, 1, 2, 3, 4, 6, 8, 9, 10, 11]
    np.testing.assert_allclose(clip.keypoints_MTVC[0, 11], points[11], rtol=1e-5)


def test_people_who_change_places_from_frame_to_frame_are_tracked(tmp_path):
    first, second = pose(25, 8), pose(25, 8, seed=1) + 400
    for number in range(8):
        people = [first[number], second[number]][:: -1 if number % 2 else 1]
        save(
            tmp_path / f"f_{number:04d}_keypoints.json",
            {"people": [{"pose_keypoints_2d": flat(each)} for each in people]},
        )
    (clip,) = read(tmp_path).annotations
    assert len(clip.keypoints_MTVC) == 2
    np.testing.assert_allclose(
        sorted(clip.keypoints_MTVC.mean(axis=(1, 2, 3))), [first.mean(), second.mean()], rtol=1e-4
    )


def test_class_folders_label_the_clips_in_them(tmp_path):
    for label, clip in (("run", "a"), ("run", "b"), ("sit", "c")):
        openpose_folder(tmp_path / label / clip, pose(25))
    file = read(tmp_path)
    assert [each.label for each in file.annotations] == ["run", "run", "sit"]
    assert any("labels by folders" in line for line in file.said)


def records(points, image="{}.jpg", **more):
    return [
        {"image_id": image.format(number), "category_id": 1, "keypoints": flat(frame), "score": 2.5, **more}
        for number, frame in enumerate(points, 3)
    ]


@pytest.mark.parametrize(
    ("joints", "layout"), [(17, "coco17"), (26, "halpe26"), (136, "halpe26"), (133, "coco17")]
)
def test_alphapose_lists_become_clips(tmp_path, joints, layout):
    points = pose(joints)
    file = read(save(tmp_path / "walk" / "alphapose-results.json", records(points)))
    (clip,) = file.annotations
    assert (file.skeleton, clip.frame_dir) == (layout, "walk")
    assert clip.frame_index_T.tolist() == [3, 4, 5, 6, 7, 8]
    np.testing.assert_allclose(clip.keypoints_MTVC[0], points[:, : file.num_joints], rtol=1e-5)


def test_alphapose_tracks_are_taken_where_idx_is_a_number(tmp_path):
    points = pose(17)
    both = records(points, idx=1) + records(points + 3, idx=7)
    (clip,) = read(save(tmp_path / "r.json", both)).annotations
    np.testing.assert_allclose(clip.keypoints_MTVC, [points, points + 3], rtol=1e-5)


def test_alphapose_by_picture_as_openpose_writes_it(tmp_path):
    points = pose(18)
    content = {
        f"{number}.jpg": {"version": 0.1, "people": [{"pose_keypoints_2d": flat(each)}]}
        for number, each in enumerate(points)
    }
    file = read(save(tmp_path / "r.json", content))
    assert file.skeleton == "coco18"
    np.testing.assert_allclose(file.annotations[0].keypoints_MTVC[0], points, rtol=1e-5)


def test_coco_annotations_with_videos_and_tracks(tmp_path):
    points = pose(17)
    images = [
        {
            "id": 100 * video + frame,
            "video_id": video,
            "frame_id": frame,
            "width": 640,
            "height": 480,
            "file_name": "x.jpg",
        }
        for video in (1, 2)
        for frame in range(6)
    ]
    visible = np.full((17, 1), 2)
    annotations = [
        {"id": i, "image_id": image["id"], "category_id": 1, "track_id": 5, "iscrowd": 0,
         "keypoints": flat(points[image["frame_id"]] + image["video_id"], visible)}
        for i, image in enumerate(images)
    ]  # fmt: skip
    category = {"id": 1, "name": "person", "keypoints": list(COCO17.joints), "skeleton": [[1, 2]]}
    content = {"images": images, "annotations": annotations, "categories": [category]}
    file = read(save(tmp_path / "c.json", content))
    assert (file.skeleton, [each.frame_dir for each in file.annotations]) == ("coco17", ["c/1", "c/2"])
    assert file.annotations[0].size_hw == (480, 640)
    np.testing.assert_allclose(file.annotations[1].keypoints_MTVC[0], points + 2, rtol=1e-5)


@pytest.mark.parametrize("tail", [[], [0.8], [0.8, 4]])
def test_ultralytics_text_is_in_shares_of_the_picture(tmp_path, tail):
    points = pose(17) / 400
    for number, frame in enumerate(points, 1):
        values = [0, 0.5, 0.5, 0.3, 0.6, *flat(frame), *tail]
        (tmp_path / f"walk_{number}.txt").write_text(" ".join(map(str, values)) + "\n")
    (tmp_path / "walk_7.txt").write_text("")
    file = read(tmp_path, size_hw=(200, 400))
    assert file.skeleton == "coco17"
    (clip,) = file.annotations
    np.testing.assert_allclose(clip.keypoints_MTVC[0, :6], points * (400, 200), rtol=1e-4)
    assert clip.frame_index_T[0] == 1
    assert not clip.scores_MTV[0, 6].any()


def test_ultralytics_tracks_and_lines_of_json(tmp_path):
    points = pose(17) / 400
    for number, frame in enumerate(points, 1):
        people = [[0, 0.5, 0.5, 0.3, 0.6, *flat(frame + 0.3 * who), who + 1] for who in (0, 1)][
            :: -1 if number % 2 else 1
        ]
        (tmp_path / f"walk_{number}.txt").write_text("\n".join(" ".join(map(str, each)) for each in people))
    (clip,) = read(tmp_path).annotations
    assert len(clip.keypoints_MTVC) == 2
    first = clip.keypoints_MTVC[:, :, 0, 0]
    np.testing.assert_allclose(sorted(first[:, 0]), [points[0, 0, 0], points[0, 0, 0] + 0.3], rtol=1e-4)
    assert (np.diff(first, axis=1) > 0).all()
    lines = [json.dumps({"frame": i, "landmarks": landmarks(each)}) for i, each in enumerate(pose(33) / 400)]
    (tmp_path / "m.jsonl").write_text("\n".join(lines))
    assert read(tmp_path / "m.jsonl").annotations[0].keypoints_MTVC.shape == (1, 6, 33, 2)


def test_ultralytics_json_of_every_frame(tmp_path):
    points = pose(17)
    frames = [
        [{"name": "person", "class": 0, "confidence": 0.9, "box": {"x1": 0, "y1": 0, "x2": 9, "y2": 9}, "track_id": 3,
          "keypoints": {"x": frame[:, 0].tolist(), "y": frame[:, 1].tolist(), "visible": [0.7] * 17}}]
        for frame in points
    ]  # fmt: skip
    (clip,) = read(save(tmp_path / "r.json", frames)).annotations
    np.testing.assert_allclose(clip.keypoints_MTVC[0], points, rtol=1e-5)
    np.testing.assert_allclose(clip.scores_MTV, 0.7, rtol=1e-5)


def landmarks(points):
    return [{"x": x, "y": y, "z": -0.1, "visibility": 0.8} for x, y in points.tolist()]


@pytest.mark.parametrize(
    "wrap",
    [
        lambda frames: [{"keypoints": each} for each in frames],
        lambda frames: [{"frame": i, "landmarks": each} for i, each in enumerate(frames)],
        lambda frames: {
            "frames": [{"frame_index": i, "pose_landmarks": each} for i, each in enumerate(frames)]
        },
        lambda frames: {"fps": 30, "label": None, "data": [{"poseLandmarks": [each]} for each in frames]},
        lambda frames: {str(i): each for i, each in enumerate(frames)},
        lambda frames: frames,
        lambda frames: [[each] for each in frames],
    ],
)
def test_mediapipe_json_in_any_wrapping(tmp_path, wrap):
    points = pose(33) / 400
    file = read(save(tmp_path / "m.json", wrap([landmarks(each) for each in points])))
    assert file.layout == BLAZEPOSE33
    np.testing.assert_allclose(file.annotations[0].keypoints_MTVC[0], points, rtol=1e-5)
    np.testing.assert_allclose(file.annotations[0].scores_MTV, 0.8, rtol=1e-5)


def test_mmpose_json_has_scores_beside_its_keypoints(tmp_path):
    points = pose(17)
    info = [
        {
            "frame_id": i,
            "instances": [
                {"keypoints": each.tolist(), "keypoint_scores": [0.8] * 17, "bbox": [[0, 0, 1, 1]]}
            ],
        }
        for i, each in enumerate(points, 1)
    ]
    (clip,) = read(save(tmp_path / "m.json", {"meta_info": {}, "instance_info": info})).annotations
    np.testing.assert_allclose(clip.keypoints_MTVC[0], points, rtol=1e-5)
    np.testing.assert_allclose(clip.scores_MTV, 0.8, rtol=1e-5)


def test_all_frames_of_openpose_in_one_list(tmp_path):
    points = pose(25)
    frames = [{"people": [{"pose_keypoints_2d": flat(each)}]} for each in points]
    (clip,) = read(save(tmp_path / "m.json", frames)).annotations
    np.testing.assert_allclose(clip.keypoints_MTVC[0], points, rtol=1e-5)


@pytest.mark.parametrize(
    "cell", [lambda each: each.tolist(), lambda each: {"x": each[:, 0].tolist(), "y": each[:, 1].tolist()}]
)
def test_csv_with_keypoints_in_one_column(tmp_path, cell):
    points = pose(17)
    lines = [f'{i},"{cell(each)}"' for i, each in enumerate(points)]
    (tmp_path / "t.csv").write_text("\n".join(["frame,keypoints", *lines]))
    file = read(tmp_path / "t.csv")
    assert file.layout == COCO17
    np.testing.assert_allclose(file.annotations[0].keypoints_MTVC[0], points, rtol=1e-5)


def test_sleap_csv_with_tracks(tmp_path):
    points = pose(4)
    head = "track,frame_idx,instance.score," + ",".join(
        f"{n}.{a}" for n in ("head", "wingL", "wingR", "tail") for a in ("x", "y", "score")
    )
    rows = [
        f"track_{m},{i},0.9," + ",".join(f"{x},{y},0.8" for x, y in each + 300 * m)
        for m in (0, 1)
        for i, each in enumerate(points)
    ]
    (tmp_path / "s.csv").write_text("\n".join([head, *rows]))
    file = read(tmp_path / "s.csv")
    assert file.layout.joints == ("head", "wingL", "wingR", "tail")
    np.testing.assert_allclose(file.annotations[0].keypoints_MTVC, [points, points + 300], rtol=1e-4)


def test_deeplabcut_h5_is_read_without_running_what_is_pickled_in_it(tmp_path):
    points = pose(3)
    columns = [("net", part, axis) for part in ("nose", "ear", "tail") for axis in ("x", "y", "likelihood")]
    values = np.concatenate([points, np.full((6, 3, 1), 0.9)], axis=2).reshape(6, 9)
    with h5py.File(tmp_path / "v.h5", "w") as file:
        group = file.create_group("df_with_missing")
        group.attrs["pandas_type"] = np.bytes_(b"frame_table")
        group.attrs["non_index_axes"] = np.bytes_(pickle.dumps([(1, columns)], 0))
        group["table"] = np.array(
            [(i, row) for i, row in enumerate(values)], [("index", "i8"), ("values_block_0", "f8", 9)]
        )
    file = read(tmp_path / "v.h5")
    assert file.layout.joints == ("nose", "ear", "tail")
    np.testing.assert_allclose(file.annotations[0].keypoints_MTVC[0], points, rtol=1e-5)


def test_movenet_json_with_names_in_any_order(tmp_path):
    points, order = pose(17), np.random.default_rng(3).permutation(17)
    frames = [
        {
            "keypoints": [
                {"name": COCO17.joints[i], "x": each[i, 0], "y": each[i, 1], "score": 0.6} for i in order
            ]
        }
        for each in points
    ]
    file = read(save(tmp_path / "m.json", frames))
    assert file.layout == COCO17
    np.testing.assert_allclose(file.annotations[0].keypoints_MTVC[0], points, rtol=1e-5)


@pytest.mark.parametrize(
    ("shape", "change"),
    [((6, 33, 4), None), ((6, 132), None), ((6, 1, 33, 4), None), ((6, 1662), "holistic")],
)
def test_mediapipe_arrays(tmp_path, shape, change):
    points = pose(33) / 400
    array = np.concatenate([points, np.zeros((6, 33, 1)), np.full((6, 33, 1), 0.8)], axis=2)
    if change:
        array = np.concatenate([array.reshape(6, -1), np.ones((6, 1662 - 132))], axis=1)
    np.save(tmp_path / "m.npy", array.reshape(shape))
    file = read(tmp_path / "m.npy")
    assert file.layout == BLAZEPOSE33
    np.testing.assert_allclose(file.annotations[0].keypoints_MTVC[0], points, rtol=1e-5)


def test_movenet_arrays_have_y_first(tmp_path):
    points = pose(17) / 400
    points[..., 1] = points[..., 1] * 1.5 + np.linspace(0, 0.3, 17)[:, None].T
    np.save(
        tmp_path / "m.npy",
        np.concatenate([points[..., ::-1], np.full((6, 17, 1), 0.5)], axis=2)[:, None, None],
    )
    file = read(tmp_path / "m.npy")
    np.testing.assert_allclose(file.annotations[0].keypoints_MTVC[0], points, rtol=1e-5)
    assert any("y, x, score" in line for line in file.said)


def table(points, names, axes, more=(), header=()):
    lines = [",".join([*header, *(f"{name}_{axis}" for name in names for axis in axes)])]
    for i, frame in enumerate(points):
        cells = [f"{value:.6f}" for x, y in frame for value in (x, y, 0.0, 0.9)[: len(axes)]]
        lines.append(",".join([*(str(each(i)) for each in more), *cells]))
    return "\r\n".join(lines)


def test_csv_of_frames_with_clips_labels_and_splits(tmp_path):
    points = pose(17)
    text = table(
        points, COCO17.joints, "xyzv", [lambda i: "ab"[i // 3], lambda i: i % 3, lambda i: "run", lambda i: "train"],
        ["video", "frame", "label", "split"],
    )  # fmt: skip
    path = tmp_path / "t.csv"
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    file = read(path)
    assert file.layout == COCO17
    assert [(each.frame_dir, each.label) for each in file.annotations] == [("a", "run"), ("b", "run")]
    assert file.splits == {"train": ["a", "b"]}
    np.testing.assert_allclose(file.annotations[1].keypoints_MTVC[0], points[3:], atol=1e-4)


def test_csv_with_a_row_a_joint(tmp_path):
    points = pose(17)
    rows = [
        f"{i},{name},{x:.5f},{y:.5f},0.9"
        for i, each in enumerate(points)
        for name, (x, y) in zip(COCO17.joints, each, strict=True)
    ]
    (tmp_path / "t.csv").write_text("\n".join(["frame,landmark,x,y,visibility", *rows]))
    file = read(tmp_path / "t.csv")
    assert file.layout == COCO17
    np.testing.assert_allclose(file.annotations[0].keypoints_MTVC[0], points, atol=1e-4)


def test_gzip_is_read_and_a_name_that_only_looks_like_keypoints_is_left_out_aloud(tmp_path):
    content = json.dumps(records(pose(17))).encode()
    (tmp_path / "a.json.gz").write_bytes(gzip.compress(content))
    (tmp_path / "config.json").write_text('{"model": "pose"}')
    file = read(tmp_path)
    assert len(file.annotations) == 1
    assert any("config.json" in line for line in file.said)


def test_penn_and_jhmdb_matrices(tmp_path):
    points = pose(13)
    penn = {"action": "bowl", "x": points[..., 0].astype(np.uint8), "y": points[..., 1],
            "visibility": np.ones((6, 13)), "dimensions": [240, 320, 6], "train": -1, "nframes": 6}  # fmt: skip
    savemat(tmp_path / "0007.mat", penn)
    file = read(tmp_path / "0007.mat")
    assert (file.skeleton, file.annotations[0].label, file.splits) == ("penn13", "bowl", {"test": ["0007"]})
    points = pose(15)
    folder = tmp_path / "jhmdb" / "pour" / "Some_Film_pour_u_nm_np1_fr_goo_3"
    folder.mkdir(parents=True)
    savemat(
        folder / "joint_positions.mat",
        {"pos_img": points.transpose(2, 1, 0), "pos_world": points.transpose(2, 1, 0)},
    )
    (clip,) = read(tmp_path / "jhmdb").annotations
    assert (clip.label, clip.group) == ("pour", "Some_Film")
    np.testing.assert_allclose(clip.keypoints_MTVC[0], points - 1, rtol=1e-5)


def dlc_rows(points, who, joints):
    columns = [
        (person, joint, axis) for person in who for joint in joints for axis in ("x", "y", "likelihood")
    ]
    heads = {"scorer": ["net"] * len(columns)}
    heads |= {
        name: [column[i] for column in columns]
        for i, name in enumerate(("individuals", "bodyparts", "coords"))
    }
    body = [
        [i, *(v for person in points for x, y in person[i] for v in (x, y, 0.9))]
        for i in range(points.shape[1])
    ]
    return heads, body


@pytest.mark.parametrize("who", [["single"], ["mouse1", "mouse2"]])
def test_deeplabcut_csv_brings_its_own_skeleton(tmp_path, who):
    points = np.stack([pose(4, seed=i) for i in range(len(who))])
    heads, body = dlc_rows(points, who, ["nose", "ear_left", "ear_right", "tail"])
    if len(who) == 1:
        del heads["individuals"]
    lines = [",".join([name, *cells]) for name, cells in heads.items()] + [
        ",".join(map(str, row)) for row in body
    ]
    (tmp_path / "videoDLC_resnet50_x_100.csv").write_text("\n".join(lines))
    file = read(tmp_path)
    (clip,) = file.annotations
    assert (clip.frame_dir, file.layout.joints[1], file.layout.flip_pairs) == ("video", "ear_left", ((1, 2),))
    np.testing.assert_allclose(clip.keypoints_MTVC, points, rtol=1e-5)


@pytest.mark.parametrize("axes", [(0, 3, 2, 1), (1, 2, 3, 0), (1, 0, 2, 3)])
def test_sleap_files_of_both_kinds(tmp_path, axes):
    points = np.stack([pose(4), pose(4, seed=1)])
    with h5py.File(tmp_path / "a.analysis.h5", "w") as file:
        file["tracks"] = points.transpose(axes)
        file["track_names"] = np.array([b"a", b"b"])
        file["node_names"] = np.array([b"head", b"wingL", b"wingR", b"tail"])
        file["edge_inds"] = np.array([[0, 1], [0, 2], [0, 3]])
        file["point_scores"] = np.full((2, 4, 6), 0.7)
    found = read(tmp_path / "a.analysis.h5")
    assert found.layout.bones == ((0, 1), (0, 2), (0, 3))
    np.testing.assert_allclose(found.annotations[0].keypoints_MTVC, points, rtol=1e-5)
    np.testing.assert_allclose(found.annotations[0].scores_MTV, 0.7, rtol=1e-5)
    write_slp(tmp_path / "p.slp", points)
    found = read(tmp_path / "p.slp")
    assert (found.layout.joints, found.layout.bones) == (("head", "wingL", "wingR", "tail"), ((0, 1),))
    np.testing.assert_allclose(found.annotations[0].keypoints_MTVC, points, rtol=1e-5)


def write_slp(path, points):
    people, frames, joints, _ = points.shape
    nodes = [{"name": name} for name in ("head", "wingL", "wingR", "tail")]
    links = [
        {"source": 0, "target": 1, "type": {"py/reduce": [{"py/type": "sleap.EdgeType"}, {"py/tuple": [1]}]}}
    ]
    about = {"nodes": nodes, "skeletons": [{"nodes": [{"id": i} for i in range(joints)], "links": links}]}
    instance = [
        (n, 1, n // people, 0, n % people, 0.9, n * joints, (n + 1) * joints) for n in range(people * frames)
    ]
    names = [
        "instance_id",
        "instance_type",
        "frame_id",
        "skeleton",
        "track",
        "score",
        "point_id_start",
        "point_id_end",
    ]
    point = [
        (*points[m, t, v], True, True, 0.7)
        for t in range(frames)
        for m in range(people)
        for v in range(joints)
    ]
    kinds = [(name, "f8" if name == "score" else "i8") for name in names]
    coordinates = [("x", "f8"), ("y", "f8"), ("visible", "?"), ("complete", "?")]
    with h5py.File(path, "w") as file:
        file.create_group("metadata").attrs["json"] = json.dumps(about)
        file["instances"] = np.array(instance, dtype=kinds)
        file["points"] = np.zeros(0, dtype=coordinates)
        file["pred_points"] = np.array(point, dtype=[*coordinates, ("score", "f8")])
        columns = [
            (name, "i8")
            for name in ("frame_id", "video", "frame_idx", "instance_id_start", "instance_id_end")
        ]
        file["frames"] = np.array(
            [(t, 0, t, t * people, (t + 1) * people) for t in range(frames)], dtype=columns
        )


def test_labels_come_from_a_csv_and_what_it_lacks_is_said(tmp_path):
    for name in ("a", "b", "c"):
        openpose_folder(tmp_path / "in" / name, pose(25, seed=ord(name)))
    (tmp_path / "labels.csv").write_text(
        "name,label,split,group\na.mp4,run,training,g1\nb.mp4,sit,test,g2\nzz,sit,test,g2\n"
    )
    how = ImportOptions(num_frames=4, labels=tmp_path / "labels.csv")
    imported = import_skeletons(tmp_path / "in", tmp_path / "S", how)
    rows = FeatureStore.open(tmp_path / "S").read(columns=["frame_sec"]).to_pylist()
    assert {(row["label"], row["group"], *row["splits"]) for row in rows} == {
        ("run", "g1", "train"), ("sit", "g2", "test"), (None, None)
    }  # fmt: skip
    said = " / ".join(imported.messages)
    assert "1 clips are not in" in said
    assert "1 names of" in said
    assert "1 of 3 clips have no label" in said


def test_labels_come_from_class_folders_of_the_videos(tmp_path):
    openpose_folder(tmp_path / "in" / "a", pose(25))
    for path in ("run/a.mp4", "sit/b.mp4"):
        (tmp_path / "videos" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "videos" / path).write_bytes(b"")
    how = ImportOptions(num_frames=4, labels=tmp_path / "videos")
    import_skeletons(tmp_path / "in", tmp_path / "S", how)
    assert FeatureStore.open(tmp_path / "S").info().labels == {"run": 1}


def test_official_split_files_label_the_clips_of_keypoints(tmp_path):
    name = "Some_Film_pour_u_nm_np1_fr_goo_3"
    folder = tmp_path / "joints" / "pour" / name
    folder.mkdir(parents=True)
    savemat(folder / "joint_positions.mat", {"pos_img": pose(15).transpose(2, 1, 0)})
    (tmp_path / "splits").mkdir()
    for number, meaning in ((1, 1), (2, 2), (3, 0)):
        (tmp_path / "splits" / f"pour_test_split{number}.txt").write_text(f"{name}.avi {meaning} \n")
    how = ImportOptions(num_frames=4, labels=tmp_path / "splits")
    import_skeletons(tmp_path / "joints", tmp_path / "S", how)
    [row] = FeatureStore.open(tmp_path / "S").read(columns=["frame_sec"]).to_pylist()
    assert (row["label"], row["group"], row["splits"]) == ("pour", "Some_Film", ["test2", "train1"])
    import_skeletons(tmp_path / "joints", tmp_path / "T", dataclasses.replace(how, protocol="2"))
    assert FeatureStore.open(tmp_path / "T").info().splits == {"test": 1}
    with pytest.raises(InputError, match="its splits are test2, train1"):
        import_skeletons(tmp_path / "joints", tmp_path / "U", dataclasses.replace(how, protocol="xsub"))


def ntu_text(points):
    """A `.skeleton` file of one body."""
    lines = [str(len(points))]
    for frame in points:
        joints = [" ".join(map(str, [*joint, 0, 0, 0, 0, 0, 0, 0, 0, 2])) for joint in frame]
        lines += ["1", "72057594037931648 0 1 1 1 1 0 0.1 0.1 2", "25", *joints]
    return "\r\n".join([*lines, ""])


def test_ntu_skeletons_by_protocol_and_without_those_that_are_missing(tmp_path):
    points = np.random.default_rng(0).normal(0, 1, (6, 25, 3))
    for name in ("S001C001P001R001A001", "S001C002P003R001A002", "S002C003P008R001A060"):
        (tmp_path / f"{name}.skeleton").write_text(ntu_text(points))
    (tmp_path / "samples_with_missing_skeletons.txt").write_text("Two samples:\n\nS002C003P008R001A060\n")
    file = read(tmp_path)
    assert [each.label for each in file.annotations] == ["drink water", "eat meal/snack"]
    np.testing.assert_allclose(file.annotations[0].keypoints_MTVC[0], points, rtol=1e-5)
    assert any("missing skeletons" in line for line in file.said)
    import_skeletons(tmp_path, tmp_path / "S", ImportOptions(num_frames=4, protocol="xview"))
    assert FeatureStore.open(tmp_path / "S").info().splits == {"test": 1, "train": 1}


def test_a_skeleton_of_its_own_is_kept_by_the_store(tmp_path):
    points = pose(4)[None]
    heads, body = dlc_rows(points, ["single"], ["nose", "ear_left", "ear_right", "tail"])
    del heads["individuals"]
    lines = [",".join([name, *cells]) for name, cells in heads.items()] + [
        ",".join(map(str, row)) for row in body
    ]
    (tmp_path / "v.csv").write_text("\n".join(lines))
    import_skeletons(tmp_path / "v.csv", tmp_path / "S", ImportOptions(num_frames=4))
    layout = FeatureStore.open(tmp_path / "S").skeleton
    assert (layout.joints, layout.flip_pairs) == (("nose", "ear_left", "ear_right", "tail"), ((1, 2),))


@pytest.mark.slow
def test_a_model_learns_from_a_skeleton_of_its_own_and_a_pickle_takes_it_along(tmp_path):
    for number in range(12):
        points = pose(4, frames=8, seed=number)[None] * (1 + number % 2)
        heads, body = dlc_rows(points, ["single"], ["nose", "ear_left", "ear_right", "tail"])
        del heads["individuals"]
        folder = tmp_path / "in" / ("train" if number < 8 else "val") / ("run", "sit")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        lines = [",".join([name, *cells]) for name, cells in heads.items()]
        (folder / f"v{number}.csv").write_text(
            "\n".join([*lines, *(",".join(map(str, row)) for row in body)])
        )
    how = ImportOptions(num_frames=8, max_people=1)
    import_skeletons(tmp_path / "in", tmp_path / "S", how)
    store = FeatureStore.open(tmp_path / "S")
    assert store.info().splits == {"train": 8, "val": 4}
    learning = LearningConfig(model=TINY_MODEL, training=TrainingConfig(num_epochs=1, device="cpu"))
    train_store(TrainingRequest(store=tmp_path / "S", out=tmp_path / "model", learning=learning))
    assert Predictor.load(tmp_path / "model").checkpoint.skeleton == store.skeleton
    export_skeletons(store, tmp_path / "out.pkl")
    import_skeletons(tmp_path / "out.pkl", tmp_path / "back", how)
    assert FeatureStore.open(tmp_path / "back").skeleton == store.skeleton


def test_joints_are_brought_to_the_layout_that_a_model_wants(tmp_path):
    points = pose(25)
    openpose_folder(tmp_path / "in", points)
    import_skeletons(tmp_path / "in", tmp_path / "S", ImportOptions(num_frames=6, skeleton="coco17"))
    store = FeatureStore.open(tmp_path / "S")
    assert store.settings.keypoints_shape == (2, 6, 17, 3)
    found = store.read(columns=["keypoints"])["keypoints"].chunk(0).to_numpy_ndarray()[0, 0, :, 9, :2]
    np.testing.assert_allclose(found, points[:, BODY25.joints.index("left_wrist")], rtol=1e-5)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "no keypoint files"),
        ({"a.json": '{"a": 1}'}, "no keypoints of a known format"),
        ({"a.json": "{"}, "not JSON"),
        ({"a.json": '{"people": [{"pose_keypoints_2d": [1, 2]}]}'}, "expected 3 a joint"),
        ({"a.json": '{"people": []}'}, "nobody in any frame"),
        ({"a.mat": "text"}, "not a MATLAB file"),
        ({"a.h5": "text"}, "not an HDF5 file"),
        ({"a.npy": "text"}, "not an array"),
        ({"a.skeleton": "2\n1\n"}, "broken off"),
        ({"a.json": json.dumps(records(pose(17))), "b.json": json.dumps([landmarks(each) for each in pose(33)])},
         "several formats"),
    ],
)  # fmt: skip
def test_what_is_no_keypoints_is_refused_by_file_and_reason(tmp_path, files, words):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=words):
        read(tmp_path)
    assert not (tmp_path / "S").exists()
