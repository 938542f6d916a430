"""Data sets by name: small copies of their layouts and lists give the right labels, groups, splits and refusals."""

import json

import numpy as np
import pytest
from scipy.io import savemat

from harray.errors import InputError
from harray.videos.decoding import Video
from harray.videos.frames import uniform_frames
from harray.videos.sources import Beside, survey, videos_among
from tests.videos.films import film_frames
from tests.videos.test_frames import write_video


@pytest.fixture
def tree(tmp_path):
    """Empty files below a folder; what has text gets it."""

    def make(*names, **texts):
        for name in names:
            path = tmp_path / "root" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        for name, text in texts.items():
            (tmp_path / name).mkdir(exist_ok=True)
            for file, content in text.items():
                (tmp_path / name / file).write_bytes(content.encode())
        return tmp_path / "root"

    return make


def told(listing, root):
    """Path below the root -> label, group, splits."""
    return {
        row["path"].removeprefix(f"{root}/"): (row["label"], row["group"], row["splits"])
        for row in listing.manifest.to_pylist()
    }


HMDB = {
    "chew_test_split1.txt": "#2_Gum_chew_h_nm_np1_fr_med_0.avi 1 \r\n#2_Gum_chew_h_nm_np1_fr_med_1.avi 2 \r\n",
    "chew_test_split2.txt": "#2_Gum_chew_h_nm_np1_fr_med_0.avi 0 \n#2_Gum_chew_h_nm_np1_fr_med_1.avi 1 \n",
    "wave_test_split1.txt": "A_Film_(x)_wave_u_cm_np1_ba_bad_0.avi 1 \nGone_wave_u_cm_np1_ba_bad_1.avi 2 \n",
}


@pytest.mark.parametrize("dataset", ["hmdb51", "jhmdb"])
def test_hmdb51_and_jhmdb_by_their_split_files(tree, tmp_path, dataset):
    names = ["chew/#2_Gum_chew_h_nm_np1_fr_med_0.avi", "chew/#2_Gum_chew_h_nm_np1_fr_med_1.avi"]
    names += ["wave/A_Film_(x)_wave_u_cm_np1_ba_bad_0.avi"]
    root = tree(*names, lists=HMDB)
    listing = survey(root, dataset, tmp_path / "lists")
    assert told(listing, root) == {
        names[0]: ("chew", "#2_Gum", ["train1"]),
        names[1]: ("chew", "#2_Gum", ["test1", "train2"]),
        names[2]: ("wave", "A_Film_(x)", ["train1"]),
    }
    assert any(
        "1 videos of the split lists are not there, such as Gone_wave" in note for note in listing.notes
    )
    first = survey(root, dataset, tmp_path / "lists", beside=Beside(protocol="1"))
    assert [splits for _, _, splits in told(first, root).values()] == [["train"], ["test"], ["train"]]


def test_hmdb51_real_split_files(tree, shared_data):
    lists = next((shared_data / "formats" / "hmdb51_splits").iterdir())
    lines = [line.split() for line in (lists / "pour_test_split1.txt").read_text().splitlines()]
    root = tree(*(f"pour/{' '.join(line[:-1])}" for line in lines))
    splits = [splits for _, _, splits in told(survey(root, "hmdb51", lists), root).values()]
    counts = [sum(name in each for each in splits) for name in ("train1", "test1")]
    assert (*counts, sum(not any("1" in name for name in each) for each in splits)) == (66, 27, 6)


def test_ucf101_one_split_as_train_and_test(tree, tmp_path):
    lists = {
        "trainlist01.txt": "Bowl/v_Bowl_g08_c01.avi 1\r\n",
        "testlist01.txt": "Bowl/v_Bowl_g01_c01.avi\r\n",
    }
    root = tree("Bowl/v_Bowl_g08_c01.avi", "Bowl/v_Bowl_g01_c01.avi", lists=lists)
    listing = survey(root, "ucf101", tmp_path / "lists", beside=Beside(protocol="1"))
    assert told(listing, root) == {
        "Bowl/v_Bowl_g01_c01.avi": ("Bowl", "g01", ["test"]),
        "Bowl/v_Bowl_g08_c01.avi": ("Bowl", "g08", ["train"]),
    }


NTU = ("S001C001P001R001A011_rgb.avi", "S002C002P003R001A003_rgb.avi", "nested/S018C003P045R001A061_rgb.avi")


@pytest.mark.parametrize(
    ("dataset", "protocol", "splits"),
    [
        ("ntu60", "xsub", ["train", "test"]),
        ("ntu60", "xview", ["test", "train"]),
        ("ntu120", "xset", ["test", "train", "train"]),
        ("ntu120", "xsub", ["train", "test", "train"]),
    ],
)
def test_ntu_by_names_and_protocol(tree, dataset, protocol, splits):
    root = tree(*NTU)
    listing = survey(root, dataset, beside=Beside(protocol=protocol))
    found = told(listing, root)
    assert [found[name][2] for name in NTU if name in found] == [[split] for split in splits]
    assert found[NTU[0]][:2] == ("reading", "P001")
    assert ("of NTU120, not of NTU60" in listing.left_out) == (dataset == "ntu60")


def test_ntu_samples_of_the_missing_lists_are_left_out(tree, tmp_path):
    root = tree(*NTU, lists={"a_missing_b.txt": "302 samples are missing.\n\nS002C002P003R001A003\n"})
    listing = survey(root, "ntu120", tmp_path / "lists")
    assert listing.left_out["in the lists of missing skeletons"] == [NTU[1]]


def test_ntu_missing_lists_hold_302_and_535_names(shared_data):
    from harray.videos.datasets.ntu import samples_in

    counts = {len(samples_in(file)) for file in (shared_data / "formats" / "ntu_missing").rglob("*.txt")}
    assert counts == {302, 535}


KINETICS = (
    "label,youtube_id,time_start,time_end,split\nzumba,--0edUL8zmA,0,10,train\nyoga,abcdefghijk,5,15,test"
)


def test_kinetics_by_lists_and_names_with_times(tree, tmp_path):
    names = [
        "--0edUL8zmA_000000_000010.mp4",
        "yoga/abcdefghijk_000005_000015.mp4",
        "zzzzzzzzzzz_000001_000011.mp4",
    ]
    root = tree(*names, lists={"all.csv": KINETICS})
    for where in (tmp_path / "lists", tmp_path / "lists" / "all.csv"):
        listing = survey(root, "kinetics", where)
        assert told(listing, root) == {
            names[0]: ("zumba", "--0edUL8zmA", ["train"]),
            names[1]: ("yoga", "abcdefghijk", ["test"]),
        }
        assert listing.left_out["of no entry of the lists"] == [names[2]]


def test_kinetics_json_and_folders(tree, tmp_path):
    about = {
        "abcdefghijk": {"annotations": {"label": "yoga", "segment": [5, 15]}, "subset": "validate", "url": ""}
    }
    root = tree("abcdefghijk_000005_000015.mp4", lists={"kinetics_val.json": json.dumps(about)})
    [(label, _, [split])] = told(survey(root, "kinetics", tmp_path / "lists"), root).values()
    assert (label, split) == ("yoga", "val")


def test_kinetics_labels_by_folders(tree):
    root = tree("train/yoga/abcdefghijk_000005_000015.mp4", "val/zumba/abcdefghijl_000005_000015.mp4")
    assert list(told(survey(root, "kinetics"), root).values()) == [
        ("yoga", "abcdefghijk", ["train"]),
        ("zumba", "abcdefghijl", ["val"]),
    ]


@pytest.fixture
def pictures(tmp_path):
    """Folders of rendered pictures."""
    import cv2

    def write(*folders, num_frames=6, name="{:06d}.jpg"):
        for folder in folders:
            path = tmp_path / "root" / folder
            path.mkdir(parents=True)
            for number, frame in enumerate(film_frames(num_frames), 1):
                cv2.imwrite(str(path / name.format(number)), frame[..., ::-1])
        return tmp_path / "root"

    return write


def test_penn_action_pictures_with_their_labels(pictures):
    root = pictures("frames/0001", "frames/0002")
    (root / "labels").mkdir()
    for name, train in (("0001", 1), ("0002", -1), ("0003", 1)):
        savemat(root / "labels" / f"{name}.mat", {"action": "squat", "train": train, "x": np.ones((6, 13))})
    listing = survey(root, "penn_action", beside=Beside(fps=30))
    assert told(listing, root) == {
        "frames/0001#fps=30": ("squat", None, ["train"]),
        "frames/0002#fps=30": ("squat", None, ["test"]),
    }
    assert any("1 videos of labels are not there" in note for note in listing.notes)


def test_a_folder_of_pictures_is_a_video(pictures):
    root = pictures("run/clip1", "sit/clip2", name="img_{}.jpg", num_frames=12)
    listing = survey(root)
    assert told(listing, root) == {"run/clip1": ("run", None, []), "sit/clip2": ("sit", None, [])}
    assert any("25 frames a second; --frame-rate" in note for note in listing.notes)
    frames = uniform_frames(Video(root / "run/clip1", fps=10), 12)
    assert frames.index_T.tolist() == list(range(12))
    np.testing.assert_allclose(frames.time_sec_T, np.arange(12) / 10)
    assert np.abs(frames.rgb_THWC[7].astype(int) - film_frames(12)[7]).mean() < 8


LIST_CASES = {
    "blanks, and a name": ("run/a b.mp4 0\nsit/c.mp4 1\n", {"run/a b.mp4": "0", "sit/c.mp4": "1"}),
    "commas": ("run/a b.mp4,0\r\nsit/c.mp4,1", {"run/a b.mp4": "0", "sit/c.mp4": "1"}),
    "folders with their frames": ("run 6 0\nsit 8 1\n", {"run": "0", "sit": "1"}),
    "a video twice": ("run/a b.mp4 0\nrun/a b.mp4 0\n", {"run/a b.mp4": "0"}),
}


@pytest.mark.parametrize(("text", "labels"), LIST_CASES.values(), ids=LIST_CASES)
def test_lists_of_path_and_label(tree, text, labels):
    root = tree("run/a b.mp4", "sit/c.mp4")
    (root / "ucf_train_list.txt").write_bytes(text.encode())
    listing = survey(root / "ucf_train_list.txt")
    assert {path: label for path, (label, _, _) in told(listing, root).items()} == labels
    assert all(splits == ["train"] for _, _, splits in told(listing, root).values())
    (root / "classInd.txt").write_text("1 Run\n2 Sit\n")
    named = survey(root, "lists")
    assert {label for label, _, _ in told(named, root).values()} == {
        ("Run", "Sit")[int(each)] for each in labels.values()
    }
    assert any("0 is Run" in note for note in named.notes)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a.mp4 0 3\na.mp4 0 2 4\n", "several labels"),
        ("imgs 2 5 127\n", "several labels, or an offset"),
        ("a.mp4 0\na.mp4 1\n", "has label 1 here, and 0 before"),
    ],
)
def test_lists_of_several_labels_are_refused(tree, text, words):
    root = tree("a.mp4")
    (root / "train.txt").write_text(text)
    with pytest.raises(InputError, match=words):
        survey(root / "train.txt")


def test_a_list_of_which_no_video_is_there_is_refused(tree):
    root = tree("other.mp4")
    (root / "train.txt").write_text("a.mp4 0\nb.mp4 1\n")
    with pytest.raises(InputError, match="none of the 2 videos is there"):
        survey(root / "train.txt")


def test_diving48_with_its_vocabulary(tree, tmp_path):
    train = [{"vid_name": "abc_00001", "label": 1, "start_frame": 0, "end_frame": 9}]
    lists = {
        "Diving48_V2_train.json": json.dumps(train),
        "Diving48_vocab.json": json.dumps([["Back", "PIKE"], ["Fwd", "TUCK"]]),
    }
    root = tree("rgb/abc_00001.mp4", lists=lists)
    assert told(survey(root, "diving48", tmp_path / "lists"), root) == {
        "rgb/abc_00001.mp4": ("Fwd TUCK", None, ["train"])
    }


def test_several_kinetics_entries_of_one_whole_video_are_segments(tree, tmp_path):
    lists = {
        "k.csv": "label,youtube_id,time_start,time_end,split\nyoga,vid,5,15,train\nrun,vid,20,30,train\n"
    }
    root = tree("vid.mp4", lists=lists)
    assert told(survey(root, "kinetics", tmp_path / "lists"), root) == {
        "vid.mp4#t=5,15": ("yoga", "vid", ["train"]),
        "vid.mp4#t=20,30": ("run", "vid", ["train"]),
    }


def test_a_video_in_two_lists_is_refused(tree):
    root = tree("a.mp4")
    for name in ("train", "test"):
        (root / f"{name}.csv").write_text("a.mp4 0\n")
    with pytest.raises(InputError, match="in several splits"):
        survey(root, "lists")


def test_something_something_and_jester(tree, tmp_path):
    train = [{"id": "7", "label": "holding a cup", "template": "Holding [something]"}]
    root = tree("7.webm", "8.webm", lists={"something-something-v2-train.json": json.dumps(train)})
    listing = survey(root, "something", tmp_path / "lists")
    assert told(listing, root) == {"7.webm": ("Holding something", None, ["train"])}
    assert listing.left_out["in no list"] == ["8.webm"]


def test_jester_folders_of_pictures(pictures, tmp_path):
    root = pictures("100", "101", name="{:05d}.jpg")
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "jester-v1-train.csv").write_bytes(b"100;Swiping Left\r\n")
    (tmp_path / "lists" / "jester-v1-test.csv").write_bytes(b"101\r\n")
    listing = survey(root, "jester", tmp_path / "lists")
    assert told(listing, root) == {"100": ("Swiping Left", None, ["train"]), "101": (None, None, ["test"])}


def test_finegym_elements_are_segments_of_whole_videos_and_stay_together(tree, tmp_path):
    text = "vid1_E_000010_000040_A_0003_0005 7\r\nvid1_E_000010_000040_A_0006_0008 9\r\n"
    text += "vid2_E_000001_000002_A_0000_0001 7"
    root = tree("vid1.mp4", lists={"gym99_train_element_v1.1.txt": text})
    listing = survey(root, "finegym", tmp_path / "lists")
    assert told(listing, root) == {
        "vid1.mp4#t=13,15": ("7", "vid1", ["train"]),
        "vid1.mp4#t=16,18": ("9", "vid1", ["train"]),
    }


def test_ava_is_refused_with_what_it_holds(tree, shared_data):
    lists = shared_data / "formats" / "ava" / "open-mmlab+mmaction2" / "ava_sample.csv"
    with pytest.raises(InputError, match="8 rows, 3 people in 2 videos"):
        survey(tree("a.mp4"), "ava", lists)


@pytest.mark.parametrize(
    ("dataset", "beside", "words"),
    [
        ("kinetics700", {}, "expected one of ucf101"),
        ("ntu60", {"protocol": "xset"}, "--protocol xset: expected one of xsub, xview"),
        (None, {"protocol": "xsub"}, "add --dataset"),
        (None, {"fps": -1.0}, "--frame-rate"),
        (None, {"tier": "a"}, "--segments"),
        ("penn_action", {}, "no labels/0001.mat"),
        ("something", {}, "no lists of something"),
        ("ntu60", {}, "nothing of ntu60"),
    ],
)
def test_what_does_not_fit_is_refused(tree, dataset, beside, words):
    with pytest.raises(InputError, match=words):
        survey(tree("run/a.mp4"), dataset, beside=Beside(**beside))


@pytest.mark.parametrize(
    ("names", "groups"),
    [
        (
            ["run/person01_run_d1.avi", "run/person01_run_d2.avi", "sit/person02_sit_d1.avi"],
            ["person01", "person01", "person02"],
        ),
        (["run/s1_a.mp4", "run/s2_a.mp4", "run/s2_b.mp4"], ["s1", "s2", "s2"]),
        (["run/a.mp4", "run/b.mp4"], [None, None]),
        (
            ["run/v_run_g01_c01.avi", "run/v_run_g01_c02.avi", "run/v_run_g02_c01.avi"],
            ["run_g01", "run_g01", "run_g02"],
        ),
    ],
)
def test_groups_are_told_by_names(tree, names, groups):
    root = tree(*names)
    listing = survey(root)
    assert [told(listing, root)[name][1] for name in names] == groups
    assert any("groups by names" in note for note in listing.notes) == any(groups)


def test_segments_and_folders_of_pictures_are_videos_to_predict(pictures, tmp_path):
    root = pictures("clip1")
    (tmp_path / "a.mp4").touch()
    names = [f"{tmp_path}/a.mp4#t=1,2", str(root / "clip1"), f"{root}/clip1#fps=10"]
    said = []
    assert videos_among(names, said.append) == names
    assert len(said) == 1


def test_a_video_is_still_a_video_where_pictures_lie_beside_it(tree, tmp_path):
    root = tree("run/a.mp4", "run/thumb_1.jpg", "run/thumb_2.jpg")
    assert list(told(survey(root), root)) == ["run/a.mp4"]


def test_a_short_film_is_read_as_before(tmp_path):
    path = write_video(tmp_path / "a.mp4", 10)
    assert uniform_frames(Video(path), 4).index_T.tolist() == [0, 3, 6, 9]
