"""Folders become labels, splits and groups, or are refused; hand-worked."""

import pytest

from harray.errors import InputError
from harray.videos.layout import guess_layout, parse_layout, rows_of
from harray.videos.splits import canonical_splits, looks_like_split, split_named


def read(names, layout=None):
    """ "train/run" -> (label, group, splits), in order."""
    found = [tuple(name.split("/")) if name else () for name in names]
    levels = parse_layout(layout) if layout else guess_layout("VIDEOS", found)
    rows = rows_of(names, found, levels, "VIDEOS")
    return [(row["label"], row["group"], row["splits"]) for row in rows]


UNDERSTOOD = {
    "classes": (["run", "walk"], [("run", []), ("walk", [])]),
    "classes with folders of their own": (["run/cam1", "walk/cam1/x"], [("run", []), ("walk", [])]),
    "one class": (["run"], [("run", [])]),
    "one class with a folder of its own": (["run/deep/er"], [("run", [])]),
    "classes one folder deeper": (["UCF-101/run", "UCF-101/walk"], [("run", []), ("walk", [])]),
    "classes two folders deeper": (["a/b/run", "a/b/walk"], [("run", []), ("walk", [])]),
    "one class below a folder that names nothing": (["Videos/run"], [("run", [])]),
    "a video beside class folders": (["", "run", "walk"], [(None, []), ("run", []), ("walk", [])]),
    "splits, usual names": (
        ["train/run", "val/run", "test/run"],
        [("run", ["train"]), ("run", ["val"]), ("run", ["test"])],
    ),
    "splits, other usual names, any case": (
        ["Training/run", "VALID/run", "Testing/walk"],
        [("run", ["train"]), ("run", ["val"]), ("walk", ["test"])],
    ),
    "splits, more usual names": (["dev/run", "eval/run"], [("run", ["val"]), ("run", ["test"])]),
    "splits called sets": (
        ["train_set/run", "Validation Set/run", "testData/run"],
        [("run", ["train"]), ("run", ["val"]), ("run", ["test"])],
    ),
    "one split only": (["train/run", "train/walk"], [("run", ["train"]), ("walk", ["train"])]),
    "splits below one folder": (["data/train/run", "data/test/run"], [("run", ["train"]), ("run", ["test"])]),
    "splits below one folder of any name": (
        ["UCF/train/run", "UCF/test/run"],
        [("run", ["train"]), ("run", ["test"])],
    ),
    "a folder that names nothing below the splits": (
        ["train/videos/run", "test/videos/run"],
        [("run", ["train"]), ("run", ["test"])],
    ),
    "splits below classes": (
        ["run/train", "run/test", "walk/train"],
        [("run", ["train"]), ("run", ["test"]), ("walk", ["train"])],
    ),
    "splits below one class": (["run/Train", "run/valid"], [("run", ["train"]), ("run", ["val"])]),
    "splits below classes below one folder": (
        ["all/run/train", "all/walk/test"],
        [("run", ["train"]), ("walk", ["test"])],
    ),
    "a video of a split without a class": (["train", "train/run"], [(None, ["train"]), ("run", ["train"])]),
    "class names that begin like splits": (
        ["training dog", "test drive", "developing"],
        [("training dog", []), ("test drive", []), ("developing", [])],
    ),
    "a class called split": (["split", "run"], [("split", []), ("run", [])]),
    "accents, composed and not": (["cafe\u0301", "caf\u00e9"], [("caf\u00e9", []), ("caf\u00e9", [])]),
    "splits with blanks": (["train /run", "test/run "], [("run", ["train"]), ("run", ["test"])]),
}


@pytest.mark.parametrize(("names", "expected"), UNDERSTOOD.values(), ids=UNDERSTOOD)
def test_folders_are_understood(names, expected):
    assert read(names) == [(label, None, splits) for label, splits in expected]


REFUSED = {
    "a class beside splits": (
        ["train/run", "test/run", "walk"],
        r"look like splits \(test, train\), those beside them do not \(walk\)",
    ),
    "one split among classes": (
        ["run", "walk", "test"],
        r"look like splits \(test\), those beside them do not \(run, walk\)",
    ),
    "numbered splits": (
        ["train1/run", "test1/run"],
        r"\(test1, train1\), by none of the usual names",
    ),
    "folds": (["fold1/run", "fold2/run"], r"\(fold1, fold2\), by none of the usual names"),
    "train and val in one": (
        ["trainval/run", "test/run"],
        r"\(trainval\), by none of the usual names",
    ),
    "two words for one split": (["val/run", "dev/run"], "dev and val both usually mean the split val"),
    "splits below some classes only": (["run/train", "walk"], "videos stand in walk without one"),
    "splits beside other folders of a class": (
        ["run/train", "run/extra"],
        r"\(train\), those beside them do not \(extra\)",
    ),
    "splits within splits": (
        ["train/train/run", "test/test/run"],
        r"on several levels .*\(test and test/test\)",
    ),
    "a class called test below splits": (["train/run", "train/test"], "on several levels"),
    "deep below classes": (["run/anna/test", "walk/bert"], "videos stand in walk/bert without one"),
    "classes above and below": (
        ["a/train/run", "b/train/run"],
        r"\(a, b\) and below them could be the classes",
    ),
    "no classes": (["train", "test"], r"\(test, train\) hold videos without class folders"),
    "no classes, one folder deeper": (["videos/train", "videos/test"], "hold videos without class folders"),
    "which level above": (["a/run/train", "b/walk/train"], "which of the folders a/run, b/walk are classes"),
}


@pytest.mark.parametrize(("names", "message"), REFUSED.values(), ids=REFUSED)
def test_what_looks_like_splits_and_is_not_understood_is_refused_in_one_line(names, message):
    with pytest.raises(InputError, match=message) as error:
        read(names)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("layout", "names", "expected"),
    [
        ("class", ["run", "test"], [("run", None, []), ("test", None, [])]),
        ("class", ["UCF/run"], [("UCF", None, [])]),
        ("split/class", ["train1/run", "Test/run"], [("run", None, ["train1"]), ("run", None, ["test"])]),
        ("split/class", ["train/test"], [("test", None, ["train"])]),
        ("_/split/class/", ["x/train/run", "y/train/run"], [("run", None, ["train"])] * 2),
        ("class/group", ["run/anna/x", "run/bert"], [("run", "anna", []), ("run", "bert", [])]),
        ("group/split/class", ["anna/train/run"], [("run", "anna", ["train"])]),
        ("class/split", ["run/train", "run"], [("run", None, ["train"]), ("run", None, [])]),
    ],
)
def test_a_layout_that_is_told_rules(layout, names, expected):
    assert read(names, layout) == expected


@pytest.mark.parametrize("layout", ["", "split", "class/class", "label", "class/split/split", "class//split"])
def test_a_layout_of_other_words_is_refused(layout):
    with pytest.raises(InputError, match="with one class, such as split/class"):
        parse_layout(layout)


@pytest.mark.parametrize(
    ("name", "looks", "split"),
    [
        *((name, True, "train") for name in ("train", "TRAIN", "Training", "train-set", "videos_train")),
        *((name, True, "val") for name in ("val", "valid", "Validation", "dev", "val_split")),
        *((name, True, "test") for name in ("test", "testing", "eval", "TestSet", "test clips")),
        *(
            (name, True, None)
            for name in ("train1", "test_02", "trainval", "holdout", "fold 3", "split-1", "set2", "val2017")
        ),
        *(
            (name, False, None)
            for name in ("run", "trains", "tested", "contest", "data", "set", "part", "fold", "01", "")
        ),
    ],
)
def test_names_of_splits(name, looks, split):
    assert (looks_like_split(name), split_named(name)) == (looks, split)


def test_names_of_splits_that_differ_by_case_only_are_one():
    assert canonical_splits(["Train", "train", "xsub"], "x") == {
        "Train": "train",
        "train": "train",
        "xsub": "xsub",
    }
