"""Every file below a folder is a video or left out for a reason that is said."""

import pytest

from harray.errors import InputError
from harray.videos.sources import survey, videos_among
from harray.videos.tree import tree_below

USUAL = """
    3g2 3gp asf avi divx dv f4v flv gif m1v m2t m2ts m2v m4v mjpg mkv mod mov mp4 mpe mpeg mpg mts mxf nut ogg ogm ogv
    qt rm rmvb tod ts vob webm wmv wtv y4m M2TS Mp4 VOB
"""


@pytest.fixture
def folder(tmp_path):
    """Make empty files by name, and folders by names that end in a slash; give the folder."""

    def make(*names):
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).mkdir() if name.endswith("/") else (tmp_path / name).touch()
        return tmp_path

    return make


@pytest.mark.parametrize("ending", USUAL.split())
def test_videos_by_any_usual_name_are_read(folder, ending):
    assert tree_below(str(folder(f"run/a.{ending}"))).videos == [f"run/a.{ending}"]


CASES = {
    "by ending": (
        ["run/a.txt", "run/b.TXT", "c.jpg"],
        {".txt": ["run/a.txt", "run/b.TXT"], ".jpg": ["c.jpg"]},
        [],
    ),
    "no ending": (["run/README"], {"no ending": ["run/README"]}, []),
    "hidden files": (["run/._a.mp4", ".DS_Store"], {"hidden": [".DS_Store", "run/._a.mp4"]}, []),
    "hidden folders": (
        [".trash/run/a.mp4", "run/.thumbs/b.mp4"],
        {"hidden": [".trash/", "run/.thumbs/"]},
        [],
    ),
    "what zip files of macOS bring": (["__MACOSX/run/a.mp4"], {"hidden": ["__MACOSX/"]}, []),
    "an empty class": (["jump/"], {}, ["jump"]),
    "a class without videos": (["jump/x/a.jpg"], {".jpg": ["jump/x/a.jpg"]}, ["jump"]),
    "an empty folder in a class": (["run/cam2/"], {}, ["run/cam2"]),
}


@pytest.mark.parametrize(("names", "left_out", "without_videos"), CASES.values(), ids=CASES)
def test_what_is_left_out_is_known(folder, names, left_out, without_videos):
    tree = tree_below(str(folder("run/a.mp4", *names)))
    assert tree.videos == ["run/a.mp4"]
    assert {why: sorted(paths) for why, paths in tree.left_out.items()} == left_out
    assert tree.without_videos == without_videos


def test_what_is_left_out_is_said_in_lines_and_counted_for_json(folder):
    root = folder("run/a.mp4", "run/b.txt", "run/c.txt", "walk/d.mp4", "run/._a.mp4", "jump/")
    listing = survey(root)
    assert listing.lines() == [
        "found 2 videos, read as folders class",
        "2 classes: run (1), walk (1)",
        "splits: none",
        "groups: none",
        "left out: 2 .txt, 1 hidden (run/._a.mp4)",
        "folders without videos: jump",
    ]
    counts = listing.counts()
    assert counts["classes"] == {"run": 1, "walk": 1}
    assert (counts["left_out"], counts["folders_without_videos"]) == ({".txt": 2, "hidden": 1}, ["jump"])


def test_a_link_to_a_folder_that_is_listed_already_is_left_out_whatever_its_name(folder):
    root = folder("run/a.mp4")
    (root / "again").symlink_to(root / "run")  # before run in order of names
    (root / "run" / "loop").symlink_to(root)
    tree = tree_below(str(root))
    assert tree.videos == ["run/a.mp4"]
    assert {why: sorted(paths) for why, paths in tree.left_out.items()} == {
        "reached twice through links": ["again/", "run/loop/"]
    }


def test_links_to_files_and_to_folders_elsewhere_are_followed(folder, tmp_path_factory):
    root, other = folder("run/a.mp4"), tmp_path_factory.mktemp("other")
    (other / "b.mp4").touch()
    (root / "walk").symlink_to(other)
    (root / "run" / "c.mp4").symlink_to(other / "b.mp4")
    assert sorted(tree_below(str(root)).videos) == ["run/a.mp4", "run/c.mp4", "walk/b.mp4"]


def test_a_folder_of_pictures_alone_is_refused_with_what_is_there(folder):
    root = folder("run/1.jpg", "run/2.jpg", "walk/1.jpg")
    with pytest.raises(InputError, match=r"no videos \(there are 3 \.jpg\); expected class folders"):
        survey(root)
    with pytest.raises(InputError, match=r"no videos in it \(there are 3 \.jpg\)"):
        videos_among([str(root)])


def test_what_of_a_folder_is_not_predicted_is_said(folder):
    said = []
    assert len(videos_among([str(folder("a.mp4", "b.txt"))], said.append)) == 1
    assert said == [f"left out of {folder()}: 1 .txt"]


@pytest.mark.parametrize(
    ("names", "note"),
    [
        (["train/run/a.mp4", "Valid/run/b.mp4"], "splits under their usual names: Valid is val"),
        (
            ["UCF/run/a.mp4", "UCF/walk/b.mp4"],
            "UCF names nothing, _/class was understood; say otherwise by --layout",
        ),
        (["run/a.mp4", "Run/a.mp4"], "classes that differ by case or blanks only: Run and run"),
        (
            ["jump_high/a.mp4", "jump high/a.mp4"],
            "classes that differ by case or blanks only: jump high and jump_high",
        ),
    ],
)
def test_what_one_may_have_meant_otherwise_is_said(folder, names, note):
    assert survey(folder(*names)).all_notes() == [note]


def test_a_folder_of_one_split_says_that_its_own_name_is_not_used(folder):
    root = folder("train/run/a.mp4", "train/walk/b.mp4")
    [note] = survey(root / "train").all_notes()
    assert note.startswith("the folder's own name train makes no split")


@pytest.mark.parametrize("arguments", [{"dataset": "ucf101"}, {}])
def test_a_layout_is_for_folders_only(folder, arguments):
    root = folder("run/a.mp4")
    (root / "manifest.csv").write_text("path,label\nrun/a.mp4,run\n")
    with pytest.raises(InputError, match="--layout class: it is for folders"):
        survey(root, layout="class", **arguments)
