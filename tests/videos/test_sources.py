import os

import pytest

from harray.errors import InputError
from harray.schema import MANIFEST
from harray.videos.sources import list_videos, survey


@pytest.fixture
def folder(tmp_path):
    """Make empty files by name, give the folder."""

    def make(*names, **texts):
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).mkdir() if name.endswith("/") else (tmp_path / name).touch()
        for name, text in texts.items():
            (tmp_path / f"{name}.csv").write_text(text)
        return tmp_path

    return make


def rows_of(table, root, *columns):
    assert table.schema.equals(MANIFEST)
    rows = table.select(["path", *columns]).to_pylist()
    return [(row["path"].removeprefix(f"{root}/"), *(row[name] for name in columns)) for row in rows]


def test_class_folders_name_the_labels_and_other_files_are_passed_over(folder):
    root = folder("sit/b.MP4", "run/deep/er/a.avi", "run/notes.txt", "run/.hidden.mp4", "Thumbs.db")
    assert rows_of(list_videos(root), root, "label", "splits") == [
        ("run/deep/er/a.avi", "run", []),
        ("sit/b.MP4", "sit", []),
    ]


def test_split_folders_above_the_classes_name_the_splits(folder):
    root = folder("train/run/a.mp4", "validation/run/b.mp4", "test/sit/c.mp4")
    assert rows_of(list_videos(root), root, "label", "splits") == [
        ("test/sit/c.mp4", "sit", ["test"]),
        ("train/run/a.mp4", "run", ["train"]),
        ("validation/run/b.mp4", "run", ["val"]),
    ]


def test_a_folder_with_a_manifest_is_read_through_it(folder):
    root = folder("run/a.mp4", manifest="path,label\nrun/a.mp4,walk\n")
    assert rows_of(list_videos(root), root, "label") == [("run/a.mp4", "walk")]


def test_odd_names_and_circular_links_are_taken_as_they_are(folder):
    root = folder("run/käse und\nbrot.mp4", "run/ .mp4")
    (root / "run" / "loop").symlink_to(root / "run")
    assert rows_of(list_videos(root), root) == [("run/ .mp4",), ("run/käse und\nbrot.mp4",)]


def test_a_csvs_paths_are_relative_to_it_and_need_not_exist(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("other") / "x.mp4"
    text = f"\ufeffpath, label,group,split,dataset\nv/../a.mp4,run,anna,train;test2,\n{other},,,,procedural\n"
    root = folder(set1=text)
    columns = ("label", "group", "splits", "dataset")
    assert sorted(rows_of(list_videos(root / "set1.csv"), root, *columns)) == [
        (str(other), None, None, [], "procedural"),
        ("a.mp4", "run", "anna", ["train", "test2"], None),
    ]


def test_the_same_line_twice_is_one_video(folder):
    root = folder(set1="path,label\na.mp4,run\na.mp4,run\n./a.mp4,run\n")
    assert len(list_videos(root / "set1.csv")) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,group\na.mp4,x\n", r"no column label \(found: path, group\)"),
        ("", r"no column path and label \(found: nothing\)"),
        ("path,label\n", "no videos in it"),
        ("path,label\n,run\n", ":2: the path is empty"),
        ("path,label\na.mp4,run\na.mp4,sit\n", ":3: a.mp4 stands here twice with different values"),
    ],
)
def test_a_csv_that_lacks_something_says_what(folder, text, message):
    root = folder(set1=text)
    with pytest.raises(InputError, match=message):
        list_videos(root / "set1.csv")


def test_a_video_given_as_the_csv_is_refused(folder):
    root = folder()
    (root / "a.mp4").write_bytes(bytes(range(256)))
    with pytest.raises(InputError, match="not a csv text file"):
        list_videos(root / "a.mp4")


@pytest.mark.parametrize(
    ("names", "arguments", "message"),
    [
        ([], {}, "no videos; expected class folders"),
        (["a.mp4", "b.mp4"], {}, "2 videos without a class folder"),
        (["run/a.mp4"], {"dataset": "ucf102"}, "dataset 'ucf102': expected one of ucf101"),
        (["run/a.mp4"], {"splits_dir": "lists"}, "they need a dataset"),
        ([], {"dataset": "ucf101"}, "no videos in class folders"),
        (["run/a.avi"], {"dataset": "ucf101", "splits_dir": "nowhere"}, "no trainlist01.txt"),
    ],
)
def test_a_folder_that_holds_nothing_useful_says_what_was_expected(folder, names, arguments, message):
    with pytest.raises(InputError, match=message):
        list_videos(folder(*names), **arguments)


def test_a_source_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match="absent: no such file or folder"):
        list_videos(tmp_path / "absent")


def test_ucf101_takes_splits_from_the_lists_and_groups_from_the_names(folder, tmp_path_factory):
    root = folder("UCF-101/Run/v_Run_g01_c01.avi", "UCF-101/Run/v_Run_g02_c01.avi", "UCF-101/Run/v_Run_x.avi")
    lists = tmp_path_factory.mktemp("lists")
    (lists / "classInd.txt").write_text("1 Run\n2 Sit\n")
    (lists / "trainlist01.txt").write_text("Run/v_Run_g02_c01.avi 1\nSit/v_Sit_g02_c01.avi 2\n")
    (lists / "testlist01.txt").write_text("Run/v_Run_g01_c01.avi\nRun/v_Run_g01_c02.avi\n")
    (lists / "testlist02.txt").write_text("Run/v_Run_g02_c01.avi\n")
    table = list_videos(root, dataset="ucf101", splits_dir=lists)
    assert rows_of(table, root / "UCF-101", "label", "group", "dataset", "splits") == [
        ("Run/v_Run_g01_c01.avi", "Run", "g01", "ucf101", ["test1"]),
        ("Run/v_Run_g01_c02.avi", "Run", "g01", "ucf101", ["test1"]),  # listed, not on the disk
        ("Run/v_Run_g02_c01.avi", "Run", "g02", "ucf101", ["test2", "train1"]),
        ("Run/v_Run_x.avi", "Run", None, "ucf101", []),
    ]


def test_what_ucf101_lists_and_folders_do_not_agree_on_is_said(folder, tmp_path_factory):
    root = folder("Run/v_Run_g01_c01.avi", "Run/old/v_Run_g09_c01.avi", "Run/notes.txt", "Jump/")
    lists = tmp_path_factory.mktemp("lists")
    (lists / "trainlist01.txt").write_text(
        "Run/v_Run_g01_c01.avi 1\nRun/v_Run_g02_c01.avi 1\nSit/v_Sit_g02_c01.avi 2\n"
    )
    listing = survey(root, dataset="ucf101", splits_dir=lists)
    assert listing.lines() == [
        "found 2 videos, read as ucf101 with its split lists",
        "1 class: Run (2)",
        "1 split: train1 (2)",
        "2 groups: g01 (1), g02 (1)",
        "left out: 1 .txt, 1 not in a class folder (Run/old/v_Run_g09_c01.avi)",
        "folders without videos: Jump",
        "note: 1 videos of the split lists are not there, such as Run/v_Run_g02_c01.avi",
        "note: 1 classes of the split lists have no folder here, such as Sit",
    ]


def test_a_folder_that_cannot_be_listed_is_not_passed_over(tmp_path, monkeypatch):
    """As root may list everything, the refusal of a disk is played."""
    (tmp_path / "run").mkdir()
    (tmp_path / "jump").mkdir()
    (tmp_path / "run" / "a.mp4").touch()
    original = os.scandir

    def refuse(path):
        if str(path).endswith("jump"):
            raise PermissionError(13, "Permission denied", str(path))
        return original(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(InputError, match="jump cannot be listed"):
        list_videos(tmp_path)
