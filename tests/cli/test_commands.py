"""The commands on a small rendered set, end to end: what they leave behind, and the keys that scripts rely on."""

import json
import shutil
from pathlib import Path

import pytest

from harray.tracking.location import connect
from tests import clusters

FAST = ("training.num_epochs=2", "training.device=cpu")


@pytest.fixture(scope="module")
def demo(ray_cluster, tmp_path_factory, harray_once):
    out = tmp_path_factory.mktemp("demo")
    ending = harray_once("demo", "--out", out, "--clips-per-action", 3, "--json", *FAST)
    assert ending.code == 0, ending.err
    return out, ending


def test_the_demo_leaves_a_registered_model_a_report_and_pictures(demo):
    _, ending = demo
    said = ending.json
    assert said["num_clips"] == 12
    assert said["num_missing"] == 0
    assert set(said["ablation"]) == {"fusion", "pose_only", "scene_only", "scene_noise"}
    assert set(said["gate"]) == {"fusion", "scene_only", "scene_noise"}
    assert said["model"] == "models:/demo@champion"
    assert [row["number"] for row in sorted(said["sweep"]["trials"], key=lambda row: row["number"])] == [
        *range(8)
    ]
    assert Path(said["report"]).read_text().startswith("<!doctype html>")
    kinds = {Path(path).name.split("_")[-1] for entry in said["predictions"] for path in entry["explanation"]}
    assert kinds == {"overlay.mp4", "time.png", "scene.png", "card.png"}
    for entry in said["predictions"]:
        assert all(Path(path).stat().st_size > 0 for path in entry["explanation"])


def test_the_demo_prints_less_than_a_screenful_and_keeps_the_chatter_in_a_log(demo):
    _, ending = demo
    said = [line for line in ending.err.splitlines() if " so far" not in line]  # a bar, on a terminal
    assert len(said) < 45 + 5, ending.err  # the five lines of the floors
    log = Path(
        next(line for line in ending.err.splitlines() if line.startswith("log: ")).removeprefix("log: ")
    )
    assert log.is_file()


def test_extracting_the_same_again_computes_nothing_and_says_so(demo, harray):
    out, _ = demo
    ending = harray(
        "extract",
        out / "videos" / "manifest.csv",
        "--store",
        out / "store",
        "--recipe",
        "procedural",
        "--json",
        "--out",
        out,
    )
    assert ending.code == 0, ending.err
    assert (ending.json["inputs"], ending.json["extracted"], ending.json["quarantined"]) == (36, 36, 0)
    assert ending.json["computed"] == 0
    assert "nothing to compute" in ending.err


@pytest.mark.parametrize(
    ("command", "flag", "said"),
    [
        ("extract", "--actors", "extraction with 36 actors needs 36 times 1 CPU; there are 2 CPU"),
        ("train", "--workers", "training with 64 workers needs 64 CPU (there are 2); use fewer --workers"),
        ("predict", "--actors", "prediction with 36 actors needs 36 times 1 CPU; there are 2 CPU"),
    ],
)
def test_what_the_cluster_cannot_hold_is_refused_by_one_line_and_nothing_is_recorded(
    demo, harray, tmp_path, command, flag, said
):
    out, _ = demo
    model = next(out.glob("runs/*/checkpoint"))
    arguments = {
        "extract": [out / "videos", "--store", tmp_path / "store", "--recipe", "procedural"],
        "train": ["--store", out / "store"],
        "predict": [model, out / "videos"],
    }
    ending = harray(command, *arguments[command], flag, 64, "--out", tmp_path / "out")
    assert ending.code == 2
    assert said in ending.err.splitlines()[-1]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"logs"}


def test_store_info_counts_what_is_there(demo, harray):
    out, _ = demo
    ending = harray("store", "info", out / "store")
    assert ending.code == 0
    assert "36 inputs = 36 extracted + 0 quarantined" in ending.out
    assert "splits: test (12), train (12), val (12)" in ending.out


def test_a_store_verifies_and_has_nothing_to_retry(demo, harray):
    out, _ = demo
    ending = harray("store", "verify", out / "store", "--json")
    assert (ending.code, ending.json["problems"], ending.json["num_inputs"]) == (0, [], 36)
    assert "clean" in ending.err
    ending = harray("store", "retry", out / "store")
    assert (ending.code, ending.out.strip()) == (0, "nothing is quarantined")


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(demo, harray, ray_cluster, tmp_path):
    out, _ = demo
    arguments = ["extract", out / "videos", "--recipe", "procedural", "--dry-run", "--out", tmp_path / "out"]
    ending = harray(*arguments, "--store", tmp_path / "store", "--json", "scenes.weights=none")
    assert (ending.code, ending.json["inputs"], ending.json["todo"]) == (0, 36, 36), ending.err
    assert ending.json["expected_sec"] > 0
    assert not (tmp_path / "store").exists()
    ending = harray(*arguments, "--store", out / "store")
    assert "36 extracted and 0 quarantined before, 0 to do" in ending.out


def test_a_damaged_store_is_mended_by_verify_and_the_same_extraction(demo, harray, tmp_path):
    out, _ = demo
    shutil.copytree(out / "store", tmp_path / "store")
    shard = next((tmp_path / "store/clips").glob("*.parquet"))
    shard.write_bytes(shard.read_bytes()[:-100])
    ending = harray("store", "verify", tmp_path / "store")
    assert ending.code == 2
    assert f"problem: clips/{shard.name}: cannot be read" in ending.out
    assert "`harray store verify --repair`" in ending.err
    ending = harray("store", "verify", tmp_path / "store", "--repair")
    assert "moved 1 files to" in ending.out
    assert "run the same `harray extract` again" in ending.err


def test_training_gives_a_checkpoint_that_evaluates_and_the_second_version_challenges(demo, harray):
    out, _ = demo
    ending = harray("train", "--store", out / "store", "--register", "demo", "--out", out, "--json", *FAST)
    assert ending.code == 0, ending.err
    said = ending.json
    assert {"checkpoint", "run_id", "model_version", "val", "train_sec"} <= set(said)
    assert said["model_version"] >= 2
    scored = harray(
        "evaluate", said["checkpoint"], "--store", out / "store", "--out", out, "--json", "--no-occlusion"
    )
    assert scored.code == 0, scored.err
    keys = "top1 top5 macro_precision macro_recall macro_f1 num_clips num_missing ablation occlusion"
    assert set(keys.split()) <= set(scored.json)
    assert scored.json["num_learned"] == 0
    arguments = ("--store", out / "store", "--out", out, "--json", "--no-occlusion", "--split", "val")
    chooser = harray("evaluate", said["checkpoint"], *arguments)
    assert chooser.json["num_learned"] == chooser.json["num_clips"] > 0
    assert "no test" in chooser.err + chooser.out
    challenger = harray(
        "evaluate", "models:/demo@challenger", "--store", out / "store", "--out", out, "--json"
    )
    assert challenger.json["top1"] == scored.json["top1"]


def test_a_saved_config_replays(demo, harray):
    out, _ = demo
    config = next((out / "runs").glob("*/config.yaml"))
    ending = harray("train", "--store", out / "store", "--config", config, "--out", out, "--json")
    assert ending.code == 0, ending.err
    assert ending.json["num_epochs"] == 2


def test_predict_names_every_video_and_a_broken_one_takes_no_other_with_it(demo, harray, tmp_path):
    out, _ = demo
    video = next((out / "videos" / "wave_hand").glob("*.mp4"))
    broken = tmp_path / "broken.mp4"
    broken.write_text("not a video")
    ending = harray("predict", "models:/demo@champion", video, broken, "--out", out, "--json", "--top", 2)
    assert ending.code == 0, ending.err
    first, second = ending.json["predictions"]
    assert {"label", "probability", "top"} <= set(first)
    assert len(first["top"]) == 2
    assert first["top"][0] == {"label": first["label"], "probability": first["probability"]}
    assert "error" in second
    alone = harray("predict", "models:/demo@champion", broken, "--out", out)
    assert alone.code == 2
    assert "broken.mp4" in alone.err


def test_a_video_in_a_bucket_is_predicted_like_one_on_the_disk(demo, harray, monkeypatch):
    from pyarrow.fs import S3FileSystem

    out, _ = demo
    video = next((out / "videos" / "wave_hand").glob("*.mp4"))
    with clusters.bucket("new") as variables:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        with S3FileSystem(endpoint_override=variables["AWS_ENDPOINT_URL"]).open_output_stream(
            "new/a.mp4"
        ) as to:
            to.write(video.read_bytes())
        ending = harray("predict", "models:/demo@champion", video, "s3://new", "--out", out, "--json")
    assert ending.code == 0, ending.err
    here, there = ending.json["predictions"]
    assert there == {**here, "video": "s3://new/a.mp4"}


def test_a_folder_of_nothing_but_broken_videos_is_refused_and_once_mended_retried(
    demo, ray_cluster, harray, tmp_path
):
    (tmp_path / "videos" / "wave").mkdir(parents=True)
    (tmp_path / "videos" / "wave" / "text.mp4").write_text("not a video")
    ending = harray(
        *("extract", tmp_path / "videos", "--store", tmp_path / "store", "--out", tmp_path),
        *("poses.weights=embedded", "scenes.weights=none"),
    )
    assert ending.code == 2
    assert "none of the 1 videos" in ending.err.splitlines()[-1]
    assert "Invalid data" in ending.err.splitlines()[-1]
    assert "1 inputs = 0 extracted + 1 quarantined; 0 computed now" in ending.out
    good = next((demo[0] / "videos").rglob("*.mp4"))
    shutil.copy(good, tmp_path / "videos" / "wave" / "text.mp4")
    ending = harray("store", "retry", tmp_path / "store", "--out", tmp_path)
    assert "1 inputs = 1 extracted + 0 quarantined; 1 computed now" in ending.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("evaluate", "models:/demo@champion", "--split", "holdout"), ["holdout", "test, train, val"]),
        (("evaluate", "models:/demo@best"), ["best", "champion"]),
        (("evaluate", "models:/other@champion"), ["other", "demo"]),
        (("train", "training.train_split=train1"), ["train1", "test, train, val"]),
    ],
)
def test_what_is_not_there_is_answered_with_what_is(demo, harray, arguments, words):
    out, _ = demo
    ending = harray(*arguments[:2], *arguments[2:], "--store", out / "store", "--out", out)
    assert ending.code == 2
    assert all(word in ending.err.splitlines()[-1] for word in words)


def test_a_store_of_other_settings_is_refused(demo, harray):
    out, _ = demo
    ending = harray(
        "extract",
        out / "videos" / "manifest.csv",
        "--store",
        out / "store",
        "--recipe",
        "procedural",
        "--out",
        out,
        "poses.max_people=1",
    )
    assert ending.code == 2
    assert "poses.max_people" in ending.err.splitlines()[-1]


def test_an_ablation_compares_variants_under_the_same_hiding(demo, harray):
    out, _ = demo
    command = ("ablate", "--store", out / "store", "--without", "pcm", "--seeds", 1, "--out", out)
    ending = harray(*command, "--workers", 0, "--json", *FAST)
    assert ending.code == 0, ending.err
    variants = ending.json["variants"]
    assert set(variants) == {"full", "without pcm"}
    kinds = {part.partition(" hidden ")[0] for part in variants["full"]["parts"] if " hidden " in part}
    assert kinds == {"joints", "whole_joints", "limbs", "spans", "confidence"}
    assert (ending.json["split"], ending.json["num_folds"]) == ("test", 1)
    (verdict,) = [line for line in ending.err.splitlines() if line.startswith("verdict: ")]
    assert verdict == f"verdict: {ending.json['verdicts']['without pcm']}"
    assert "1 seeds say too little about chance" in verdict
    run = connect(f"sqlite:///{out}/mlflow.db").get_run(ending.json["run_id"])
    assert run.data.tags["harray.verdict.without pcm"] == ending.json["verdicts"]["without pcm"]
    untouched = variants["without pcm"]["parts"]["fusion"]["top1"]["mean"]
    assert run.data.metrics["without pcm.fusion.top1"] == pytest.approx(untouched)


def test_doctor_fits_on_a_screen_and_says_where_weights_come_from(harray, tmp_path):
    ending = harray("doctor", "--out", tmp_path, "poses.weights=embedded", "--json")
    assert ending.code == 0, ending.err
    assert len(ending.err.splitlines()) < 24
    assert {"torch", "Ray", "pose weights", "scene weights", "tracking"} <= set(ending.json)


@pytest.mark.slow
def test_rendering_says_how_many_clips_per_second(harray, tmp_path):
    ending = harray("synth", tmp_path / "videos", "--clips-per-action", 3, "--seed", 5, "--json")
    assert ending.code == 0, ending.err
    assert ending.json["num_clips"] == 36
    again = harray("synth", tmp_path / "videos", "--clips-per-action", 4, "--seed", 5)
    assert again.code == 2
    assert json.loads(ending.out.splitlines()[-1])["clips_per_sec"] > 0
