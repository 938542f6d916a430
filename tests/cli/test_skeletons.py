"""The skeleton commands: what they leave, what they print, and what they refuse without a trace."""

import os
import pickle

import numpy as np
import pytest


def annotation(frame_dir, label=0, **changes):
    values = {
        "frame_dir": frame_dir,
        "total_frames": 6,
        "label": label,
        "img_shape": (240, 320),
        "keypoint": np.random.default_rng(label).uniform(1, 240, (1, 6, 17, 2)),
        "keypoint_score": np.ones((1, 6, 17)),
        **changes,
    }
    return {name: value for name, value in values.items() if value is not None}


class Calls:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.fixture
def in_tmp(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_pickle_goes_in_and_comes_out_again(in_tmp, harray):
    content = {"split": {"train": ["a"]}, "annotations": [annotation("a"), annotation("b", 1)]}
    (in_tmp / "clips.pkl").write_bytes(pickle.dumps(content))
    (in_tmp / "names.txt").write_text("run\nsit\n")
    options = ("--store", "S", "--frames", 4, "--labels", "names.txt", "--json")
    ending = harray("skeleton", "import", "clips.pkl", *options)
    assert ending.code == 0, ending.err
    counts = {"inputs": 2, "extracted": 2, "quarantined": 0, "computed": 2, "skeleton": "coco17"}
    assert counts.items() <= ending.json.items()
    assert "coco17, for its 17 joints" in ending.err
    assert harray("skeleton", "import", "clips.pkl", *options).json["computed"] == 0
    info = harray("store", "info", "S")
    assert "2 inputs = 2 extracted + 0 quarantined" in info.out
    ending = harray("skeleton", "export", "--store", "S", "out.pkl", "--json")
    assert ending.code == 0, ending.err
    assert (ending.json["exported"], ending.json["unlabelled"]) == (2, 0)
    assert pickle.loads((in_tmp / "out.pkl").read_bytes())["label_map"] == ["run", "sit"]
    again = harray("skeleton", "export", "--store", "S", "out.pkl")
    assert again.code == 2
    assert "--force" in again.err
    assert harray("skeleton", "export", "--store", "S", "out.pkl", "--force").code == 0


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (Calls(os.system, "touch marker"), ["system", "nothing of it was run"]),
        ([annotation("a", extra=Calls(eval, "open('marker', 'w')"))], ["eval"]),
        ([annotation("a", keypoint=np.array([[[[Calls(os.mkdir, "marker")]]]], object))], ["numpy"]),
        ([annotation("a"), annotation("b", keypoint=None)], ["annotation 1 (b)", "keypoint"]),
        ([annotation("a", keypoint=[[[[1, 2], [3]]]])], ["a", "ragged"]),
        ([annotation("a", keypoint_score=np.ones((1, 5, 17)))], ["keypoint_score", "(1, 6, 17)"]),
        ({"annotations": [annotation("a")], "split": {"train": ["z"]}}, ["train", "z"]),
        ({"annotations": [], "split": {}}, ["no annotations"]),
        ({"annotations": [annotation("a", 3)], "label_map": ["run"]}, ["label", "found 3"]),
    ],
)
def test_a_pickle_that_is_not_to_be_used_runs_nothing_and_leaves_no_store(in_tmp, harray, content, words):
    (in_tmp / "clips.pkl").write_bytes(pickle.dumps(content))
    ending = harray("skeleton", "import", "clips.pkl", "--store", "S")
    assert ending.code == 2
    assert len(ending.err.splitlines()) == 1
    assert all(word in ending.err for word in ["clips.pkl", *words])
    assert [path.name for path in in_tmp.iterdir()] == ["clips.pkl"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["import", "text.pkl", "--store", "S"], ["text.pkl", "not a pickle"]),
        (["import", "gone.pkl", "--store", "S"], ["gone.pkl", "no such file"]),
        (["import", ".", "--store", "S"], ["no keypoint files"]),
        (["import", "text.pkl", "--store", "S", "--frames", "0"], ["--frames"]),
        (["import", "text.pkl"], ["--store"]),
        (["export", "--store", "nowhere", "out.pkl"], ["nowhere"]),
    ],
)
def test_wrong_arguments_end_with_2_and_one_line(in_tmp, harray, arguments, words):
    (in_tmp / "text.pkl").write_text("not a pickle")
    ending = harray("skeleton", *arguments)
    assert ending.code == 2
    assert len(ending.err.splitlines()) == 1
    assert all(word in ending.err for word in words)
    assert [path.name for path in in_tmp.iterdir()] == ["text.pkl"]
