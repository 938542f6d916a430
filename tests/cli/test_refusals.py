"""Every wrong input ends with 2 and one line that says what was found, what was expected and what to do."""

import json

import pytest


@pytest.fixture
def in_tmp(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "unlabelled.csv").write_text("path,tag\na.mp4,wave\n")
    (tmp_path / "text.mp4").write_text("not a video")
    old = tmp_path / "old-store"
    old.mkdir()
    (old / "store.json").write_text(json.dumps({"harray_store": 0}))
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["extract", "nowhere", "--store", "S"], ["nowhere"]),
        (["extract", "empty", "--store", "S"], ["empty"]),
        (["extract", "unlabelled.csv", "--store", "S"], ["label"]),
        (["extract", "empty", "--store", "S", "poses.max_peple=2"], ["poses.max_peple", "poses.max_people"]),
        (["extract", "empty", "--store", "S", "poses.max_people=two"], ["poses.max_people", "int"]),
        (["extract", "empty", "--store", "S", "--recipe", "procedurl"], ["procedurl", "procedural"]),
        (["extract", "empty", "--store", "S", "--config", "gone.yaml"], ["gone.yaml"]),
        (["train", "--store", "nowhere"], ["nowhere", "harray extract"]),
        (
            ["train", "--store", "odd://bucket/store"],
            ["odd://bucket/store", "expected a folder, or a bucket"],
        ),
        (["train", "--store", "s3://"], ["no bucket in it"]),
        (
            ["train", "--store", "old-store", "--out", "odd://bucket/out"],
            ["odd://bucket/out", "expected a folder, or a bucket"],
        ),
        (["train", "--store", "old-store", "training.num_epochs=0"], ["training.num_epochs", "equal to 1"]),
        (["train", "--store", "old-store", "model.dropout=1.5"], ["model.dropout", "equal to 1"]),
        (["train", "--epochs", "20"], ["--epochs", "`harray train --help`"]),
        (["train", "--store", "old-store"], ["version 0", "expected 1"]),
        (["train", "--store", "empty"], ["empty", "store.json"]),
        (["tune", "--store", "nowhere"], ["nowhere", "harray extract"]),
        (["tune", "--store", "old-store", "--objective", "speed"], ["speed", "accuracy-latency"]),
        (["rerun", "nothing"], ["tracking store", "no such file"]),
        (["evaluate", "gone", "--store", "old-store"], ["gone"]),
        (["predict", "gone", "text.mp4"], ["gone"]),
        (["predict", "empty", "poses.weights=a.pt"], ["no video is named"]),
        (["predict", "empty", "text.mp4", "videos.clip_sec=3"], ["videos.clip_sec=3", "poses.*"]),
        (["predict", "models:/nobody@champion", "text.mp4"], ["nobody"]),
        (["store", "info", "nowhere"], ["nowhere"]),
        (["store", "verify", "nowhere"], ["nowhere"]),
        (["store", "retry", "old-store"], ["version 0", "expected 1"]),
        (["extract", "empty", "--store", "S", "--max-quarantined", "few"], ["few", "5%"]),
        (["extract", "odd://bucket/x", "--store", "S"], ["odd://bucket/x"]),
        (["cross-validate", "--store", "nowhere"], ["nowhere", "harray extract"]),
        (["cross-validate", "--store", "old-store", "--folds", "1"], ["--folds"]),
        (["trian"], ["trian"]),
        (["train"], ["--store"]),
        (["train", "--store", "old-store", "--wokers", "2"], ["--wokers"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_wrong_input_ends_with_2_and_one_helpful_line(in_tmp, harray, arguments, words):
    ending = harray(*arguments)
    assert ending.code == 2
    complaint = ending.err.strip().splitlines()[-1]
    assert complaint.startswith("harray: ")
    for word in words:
        assert word in complaint
    assert "Traceback" not in ending.err
