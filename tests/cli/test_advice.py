"""The commands that the program tells its user to run: they run as printed."""

import pickle
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest

from harray.cli import advice

FAST = ("training.num_epochs=2", "training.device=cpu")


def next_of(ending) -> list[str]:
    """The words of what was proposed, as a shell splits them, without what starts harray."""
    (line,) = [line for line in ending.out.splitlines() if line.startswith("next: ")]
    words = shlex.split(line.removeprefix("next: "))
    return words[words.index("harray") + 1 :]


def follow(harray, ending, *added) -> tuple[list[str], object]:
    """Run what was proposed as it stands; `added` only makes it quicker."""
    words = next_of(ending)
    after = harray(*words, *added)
    assert after.code == 0, (words, after.err)
    return words, after


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Twelve rendered clips of two actions, class folder by class folder, and their manifest."""
    from harray.synth.config import SynthConfig
    from harray.synth.render import render_dataset

    folder = tmp_path_factory.mktemp("rendered")
    render_dataset(folder / "all", SynthConfig(clips_per_action=6, num_actors=6))
    for action in ("wave_hand", "lift_box"):
        source = folder / "all" / action
        if source.is_dir():
            shutil.copytree(source, folder / "by class" / action)
    assert len(list((folder / "by class").iterdir())) == 2
    return folder


@pytest.mark.parametrize("blanks", [False, True])
def test_from_class_folders_every_next_command_runs_until_a_model_is_scored(
    videos, ray_cluster, harray, tmp_path, monkeypatch, blanks
):
    monkeypatch.chdir(tmp_path)
    out = ("--out", "my runs", "--tracking-uri", f"sqlite:///{tmp_path}/all runs.db") if blanks else ()
    store = "my store" if blanks else "store"
    ending = harray(
        *("extract", videos / "by class", "--store", store, "--recipe", "procedural", *out[:2]),
        "scenes.weights=none",
    )
    assert ending.code == 0, ending.err
    words = next_of(ending)
    assert words[:3] == ["train", "--store", store]
    assert "--test-share" in words
    words, trained = follow(harray, ending, *out[2:], *FAST)
    assert "test part: 2 of 12 clips" in trained.out
    assert "val: " in trained.out
    words, scored = follow(harray, trained, "--no-occlusion")
    assert words[0] == "evaluate"
    assert "2 clips of 'test' evaluated" in scored.out
    if blanks:
        assert (tmp_path / "all runs.db").exists()
        assert not (tmp_path / "my runs" / "mlflow.db").exists()


@pytest.mark.parametrize("named", [("train", "test"), ("train", "val", "test"), ("train1", "test1")])
def test_from_a_manifest_every_next_command_runs_until_a_model_is_scored(
    videos, ray_cluster, harray, tmp_path, monkeypatch, named
):
    monkeypatch.chdir(tmp_path)
    files = sorted((videos / "by class").rglob("*.mp4"))
    lines = [f"{file},{file.parent.name},{named[place % len(named)]}" for place, file in enumerate(files)]
    manifest = tmp_path / "the manifest.csv"
    manifest.write_text("\n".join(["path,label,split", *lines]))
    ending = harray(
        "extract", manifest, "--store", "a store", "poses.weights=embedded", "scenes.weights=none"
    )
    assert ending.code == 0, ending.err
    words, trained = follow(harray, ending, *FAST)
    assert "--test-share" not in words
    assert (f"training.train_split={named[0]}" in words) == (named[0] != "train")
    words, scored = follow(harray, trained, "--no-occlusion")
    assert f"clips of '{named[-1]}' evaluated" in scored.out


@pytest.fixture
def arms(tmp_path):
    """Writes a skeleton pickle in which an arm goes up or down, twelve clips, dealt to splits of these names."""

    def write(file: Path, splits: tuple[str, ...]) -> Path:
        random = np.random.default_rng(0)
        names = [f"clip{number}" for number in range(12)]
        annotations = []
        for number, name in enumerate(names):
            keypoint = random.normal(0, 1, (1, 8, 17, 2)) + np.linspace(0, 100, 17)[:, None]
            keypoint[0, :, 5, 1] += np.linspace(0, 60, 8) * (1 if number % 2 else -1)
            annotation = {"frame_dir": name, "total_frames": 8, "label": number % 2, "keypoint": keypoint}
            annotations.append(annotation | {"img_shape": (200, 200), "keypoint_score": np.ones((1, 8, 17))})
        dealt = {split: [name for i, name in enumerate(names) if i // 2 % len(splits) == place]
                 for place, split in enumerate(splits)}  # fmt: skip
        file.write_bytes(pickle.dumps({"split": dealt, "annotations": annotations}))
        return file

    return write


@pytest.mark.slow
@pytest.mark.parametrize(
    ("splits", "share", "scored_on"),
    [
        ((), None, "test"),
        (("train", "test"), None, "test"),
        (("train", "val"), None, "test"),
        (("xsub_train", "xsub_val"), None, "xsub_val"),
        (("train1", "test1", "train2", "test2"), None, "test1"),
        ((), 0.3, "test"),
    ],
)
def test_from_a_pickle_every_next_command_runs_until_a_model_is_scored(
    arms, harray, tmp_path, monkeypatch, splits, share, scored_on
):
    monkeypatch.chdir(tmp_path)
    pkl = arms(tmp_path / "the clips.pkl", splits)
    given = ("--test-share", share) if share else ()
    ending = harray("skeleton", "import", pkl, "--store", "it's a store", "--frames", 8, *given)
    assert ending.code == 0, ending.err
    words, trained = follow(harray, ending, "--out", "out here", *FAST)
    assert ("--test-share" in words) == (scored_on not in splits and not share)
    words, scored = follow(harray, trained, "--no-occlusion")
    assert f"clips of '{scored_on}' evaluated" in scored.out
    assert ("--split" in words) == (scored_on != "test")


@pytest.mark.slow
def test_training_without_a_test_part_says_so_and_proposes_to_hold_one_out(
    arms, harray, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    harray("skeleton", "import", arms(tmp_path / "a.pkl", ()), "--store", "S", "--frames", 8)
    trained = harray("train", "--store", "S", "--out", "O", "--recipe", "skeleton", *FAST)
    assert trained.code == 0, trained.err
    assert "note: store S: no test part to score models on (splits: none)" in trained.err
    assert "val: none (training.val_share=0)" in trained.out
    words, again = follow(harray, trained)
    assert words[:3] == ["train", "--store", "S"]
    assert words[3:] == ["--out", "O", "--recipe", "skeleton", "--test-share", "0.2", *FAST]
    assert next_of(again)[0] == "evaluate"


@pytest.mark.parametrize("command", ["evaluate", "ablate"])
def test_without_a_test_part_nothing_heavy_is_loaded(arms, harray, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    harray("skeleton", "import", arms(tmp_path / "a.pkl", ()), "--store", "a store", "--frames", 8)
    (tmp_path / "model").mkdir()
    arguments = ["model"] if command == "evaluate" else ["--without", "pcm"]
    ending = harray(command, *arguments, "--store", "a store")
    assert ending.code == 2
    complaint = ending.err.splitlines()[-1]
    assert "no test part" in complaint
    words = shlex.split(complaint.split("`")[1])
    assert words[words.index("harray") + 1 :] == ["train", "--store", "a store", "--test-share", "0.2"]
    assert not list(tmp_path.glob("harray-out"))


@pytest.mark.parametrize(
    ("arguments", "flags", "line"),
    [
        (("evaluate", "runs/1/checkpoint"), {"--store": "S"}, "harray evaluate runs/1/checkpoint --store S"),
        (("evaluate", "a b"), {"--store": Path("c d")}, "harray evaluate 'a b' --store 'c d'"),
        (("store info", "it's"), {}, """harray store info 'it'"'"'s'"""),
        (("train",), {"--store": "$S", "--out": None, "--x": ""}, "harray train --store '$S'"),
        (("train",), {"--resume": True, "--json": False}, "harray train --resume"),
        (("train",), {"--store": "Läufe/*"}, "harray train --store 'Läufe/*'"),
        (("extract", "s3://b/a?b"), {}, "harray extract 's3://b/a?b'"),
    ],
)
def test_a_command_is_quoted_and_has_only_flags_with_a_value(monkeypatch, arguments, flags, line):
    monkeypatch.delenv("UV", raising=False)
    assert advice.command(*arguments, flags=flags) == line
    assert shlex.split(line)[0] == "harray"


def test_what_uv_started_is_started_by_uv_again_and_a_job_as_a_job(monkeypatch, tmp_path):
    monkeypatch.setenv("UV", "/usr/bin/uv")
    assert advice.command("doctor") == "uv run harray doctor"
    monkeypatch.setattr("sys.argv", ["jobs/train.py"])
    assert advice.command("evaluate", "m").endswith("-- python jobs/evaluate.py m")
    assert advice.command("store info", "S") == "uv run harray store info S"


def test_a_password_is_not_printed():
    flags = advice.where(Path("o"), "http://me:secret@host:5000")
    assert "secret" not in advice.command("evaluate", "m", flags=flags)
