"""What `extract` understood is said before it works, and `store info` says of every failure why and which file."""

import json
import shutil

import pytest

from harray.schema import EXTRACTED, QUARANTINED
from harray.store import FeatureStore, StoreSettings
from tests.conftest import SHARED_DATA
from tests.videos.test_frames import write_video

NETWORKS = ("poses.weights=embedded", "scenes.weights=none", "videos.num_frames=4")
CASES = SHARED_DATA.parent / "cases"


@pytest.fixture
def case(tmp_path):
    """A copy of one of the cases that lie beside the repository."""

    def copy(name):
        if not (CASES / name).is_dir():
            pytest.skip(f"no case at {CASES / name}")
        return shutil.copytree(CASES / name, tmp_path / name)

    return copy


@pytest.fixture
def extract(harray, ray_cluster, tmp_path):
    """Extract a source into tmp_path/store."""
    where = ("--store", tmp_path / "store", "--out", tmp_path / "out", "--json")
    return lambda source, *arguments: harray("extract", source, *where, *NETWORKS, *arguments)


@pytest.fixture
def failing(tmp_path):
    """A store in which five inputs failed for three reasons."""
    settings = StoreSettings(skeleton="coco17", keypoints_shape=(2, 4, 17, 3), scene_shape=None)
    store = FeatureStore.create(tmp_path / "failing", settings)
    failed = {"status": QUARANTINED, "stage": "open", "error": "VideoError"}
    empty = [{**failed, "path": f"/v/{i}.mp4", "message": "the file is empty"} for i in range(4)]
    store.append_ledger([*empty, {**failed, "path": "/v/two\nlines.mp4", "message": "no video in it"}])
    return store


def test_classes_splits_groups_and_what_is_left_out_are_said_before_the_work(extract, tmp_path):
    videos = tmp_path / "videos"
    for name in ("Train/run/1.mp4", "valid/run/2.mp4"):
        (videos / name).parent.mkdir(parents=True)
        write_video(videos / name, 5)
    (videos / "valid" / "notes.txt").touch()
    planned = extract(videos, "--dry-run")
    assert planned.code == 0, planned.err
    done = extract(videos)
    assert done.code == 0, done.err
    for ending in (planned, done):
        assert ending.json["found"] == {
            "videos": 2,
            "read_as": "folders split/class",
            "classes": {"run": 2},
            "without_class": 0,
            "splits": {"train": 1, "val": 1},
            "without_split": 0,
            "groups": {},
            "left_out": {".txt": 1},
            "folders_without_videos": [],
            "notes": ["splits under their usual names: valid is val"],
        }
    said = done.err.splitlines()
    assert said.index("1 class: run (2)") < next(i for i, line in enumerate(said) if "computed now" in line)
    assert FeatureStore.open(tmp_path / "store").info().splits == {"train": 1, "val": 1}


def test_a_layout_says_that_a_class_is_called_test(harray, tmp_path):
    for name in ("run", "test"):
        (tmp_path / "videos" / name).mkdir(parents=True)
        (tmp_path / "videos" / name / "1.mp4").touch()
    ending = harray("extract", tmp_path / "videos", "--store", tmp_path / "store")
    assert ending.code == 2
    assert "--layout class" in ending.err.splitlines()[-1]
    ending = harray("extract", tmp_path / "videos", "--store", tmp_path / "s", "--layout", "klass")
    assert ending.code == 2
    assert "--layout klass: expected" in ending.err.splitlines()[-1]


def test_store_info_gives_every_reason_with_some_of_its_files(failing, harray):
    lines = harray("store", "info", failing.path).out.splitlines()
    assert lines[-2:] == [
        "quarantined 4, open: VideoError: the file is empty: /v/0.mp4, /v/1.mp4, /v/2.mp4 and 1 more "
        "(--failed lists them)",
        "quarantined 1, open: VideoError: no video in it: /v/two\\nlines.mp4",
    ]


def test_store_info_failed_lists_every_file_in_a_line(failing, harray):
    assert harray("store", "info", failing.path, "--failed").out.splitlines() == [
        *(f"/v/{i}.mp4: open: VideoError: the file is empty" for i in range(4)),
        "/v/two\\nlines.mp4: open: VideoError: no video in it",
    ]


@pytest.mark.parametrize("flags", [(), ("--failed",)])
def test_store_info_has_all_files_in_its_json(failing, harray, flags):
    ending = harray("store", "info", failing.path, "--json", *flags)
    assert [(reason["message"], reason["paths"]) for reason in ending.json["reasons"]] == [
        ("the file is empty", [f"/v/{i}.mp4" for i in range(4)]),
        ("no video in it", ["/v/two\nlines.mp4"]),
    ]


def test_what_did_not_fail_is_not_listed_as_failed(failing, harray):
    gone = {"path": "/v/0.mp4", "label": "run", "clip_id": "c", "status": EXTRACTED}
    failing.append_ledger([gone])
    assert "/v/0.mp4" not in harray("store", "info", failing.path, "--failed").out


def test_the_case_split_folder_names(case, extract, tmp_path):
    ending = extract(case("split-folder-names") / "VIDEOS")
    assert ending.code == 0, ending.err
    info = FeatureStore.open(tmp_path / "store").info()
    assert (info.labels, info.splits) == ({"run": 3}, {"test": 1, "train": 1, "val": 1})


def test_the_case_csv_extra_comma(case, extract, tmp_path):
    ending = extract(case("csv-extra-comma") / "manifest.csv")
    assert ending.code == 2
    assert "manifest.csv:2: 5 fields for the 4 columns path,label,group,split" in ending.err.splitlines()[-1]
    assert not (tmp_path / "store").exists()


def test_the_case_endings(case, extract, tmp_path):
    ending = extract(case("endings") / "VIDEOS")
    assert (ending.code, ending.json["extracted"]) == (0, 3), ending.err
    assert FeatureStore.open(tmp_path / "store").info().labels == {"jump": 1, "run": 1, "walk": 1}


def test_the_case_reasons_hidden(case, extract, harray, tmp_path):
    folder = case("reasons-hidden") / "VIDEOS" / "run"
    ending = extract(folder.parent)
    assert (ending.code, ending.json["quarantined"]) == (0, 3), ending.err
    info = harray("store", "info", tmp_path / "store", "--json").json
    files = {reason["message"]: reason["paths"] for reason in info["reasons"]}
    assert sorted(path for paths in files.values() for path in paths) == [
        str(folder / name) for name in ("audio.mp4", "empty.mp4", "page.mp4")
    ]
    assert len(files) == 3, json.dumps(files)


def test_segments_of_a_video_are_clips_of_their_own_in_the_store(extract, tmp_path):
    videos = tmp_path / "videos"
    videos.mkdir()
    write_video(videos / "long.mp4", 60)
    (tmp_path / "parts.csv").write_text(
        "video,start,end,label\nlong.mp4,0,1,run\nlong.mp4,1.2,2,sit\ngone.mp4,0,1,sit\n"
    )
    done = extract(videos, "--segments", tmp_path / "parts.csv")
    assert done.code == 0, done.err
    assert done.json["found"]["classes"] == {"run": 1, "sit": 1}
    assert any("1 segments are of videos that are not there" in note for note in done.json["found"]["notes"])
    rows = FeatureStore.open(tmp_path / "store").read(columns=["frame_index"]).to_pylist()
    assert {row["label"]: (row["frame_index"][0], row["frame_index"][-1]) for row in rows} == {
        "run": (0, 24),
        "sit": (30, 49),
    }
    assert {row["group"] for row in rows} == {"long"}
    assert extract(videos, "--segments", tmp_path / "parts.csv").json["computed"] == 0
