"""What is said of a video: by any name, whatever fails beside it, and how much of it was seen."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from harray.api.predict import PredictOptions, _tasks, predict_videos
from harray.errors import InputError
from harray.inference import Predictor
from harray.inference.entries import VideoTask, entry_line, said_of, video_entry
from harray.inference.evidence import Evidence, evidence_of, evidence_together
from harray.synth.render import HEIGHT_PX, WIDTH_PX, write_video
from tests.toys import untrained_checkpoint, video_of_nobody, video_of_somebody

CASES = Path(__file__).resolve().parents[3] / "shared" / "cases"
CLASSES = ("ca$h_$tack", "跑步", "[/bold]")
EVIDENCE = {"verdict", "num_people_seen", "frames_seen_share", "joints_seen_share"}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    return untrained_checkpoint(tmp_path_factory.mktemp("entries") / "checkpoint", CLASSES)


@pytest.fixture(scope="module")
def predictor(checkpoint) -> Predictor:
    return Predictor.load(checkpoint, device="cpu")


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    return video_of_somebody(tmp_path_factory.mktemp("clips") / "clip.mp4")


def copied(clip: Path, to: Path) -> str:
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(clip, to)
    return str(to)


LONG = "v" * 248


@pytest.mark.parametrize(
    "names",
    [
        ("a/x.mp4", "b/x.mp4"),
        ("a/x.mp4", "b/x.mp4", "c/x-2.mp4"),
        ("x.mp4", "X.mp4"),
        ("x.mp4", "x.avi"),
        (f"{LONG}.mp4", f"{LONG[:-1]}w.mp4", "clip.mp4"),
        ("ü" * 124 + ".mp4", "%d.mp4", "a?b#c.mp4"),
        ("x.mp4", "x_time.mp4"),
    ],
)
def test_every_video_has_names_of_its_own_for_its_pictures(tmp_path, names):
    tasks = _tasks([str(tmp_path / name) for name in names], 1, tmp_path / "why")
    pictures = [f"{task.explain_as.name}_{kind}" for task in tasks for kind in ("time.png", "overlay.mp4")]
    assert len(set(map(str.casefold, pictures))) == len(pictures) == 2 * len(names)
    assert all(len(name.encode()) < 200 for name in pictures)


@pytest.mark.slow
def test_videos_of_odd_names_are_drawn_each_in_files_of_its_own(checkpoint, clip, tmp_path):
    names = (f"{LONG}.mp4", "12:30:01.mp4", "%d a?b#c ü$x.mp4")
    videos = [copied(clip, tmp_path / name) for name in names]
    entries = predict_videos(checkpoint, videos, PredictOptions(top=3, explain_to=tmp_path / "why"))
    pictures = [path for entry in entries for path in entry["explanation"]]
    assert len(set(pictures)) == len(list((tmp_path / "why").iterdir())) == 3 * len(names)
    assert all(Path(path).stat().st_size > 0 for path in pictures)
    assert not any("error" in entry for entry in entries)


@pytest.mark.slow
def test_the_pictures_of_a_later_call_replace_those_of_the_same_video_only(checkpoint, clip, tmp_path):
    first, second = copied(clip, tmp_path / "a" / "x.mp4"), copied(clip, tmp_path / "b" / "x.mp4")
    by_call = [
        set(
            predict_videos(checkpoint, [video], PredictOptions(top=1, explain_to=tmp_path / "why"))[0][
                "explanation"
            ]
        )
        for video in (first, second, first)
    ]
    assert by_call[0] == by_call[2]
    assert not by_call[0] & by_call[1]


def test_the_same_video_twice_has_pictures_twice(checkpoint, clip, tmp_path):
    entries = predict_videos(
        checkpoint, [str(clip), str(clip)], PredictOptions(top=1, explain_to=tmp_path / "why")
    )
    assert not set(entries[0]["explanation"]) & set(entries[1]["explanation"])


def in_the_way(folder: Path, task: VideoTask) -> None:
    """A folder where one of the video's pictures should lie."""
    assert task.explain_as is not None
    task.explain_as.with_name(f"{task.explain_as.name}_card.png").mkdir(parents=True)


def test_a_video_that_cannot_be_drawn_keeps_its_labels_and_says_why(predictor, clip, tmp_path):
    task = VideoTask(video=str(clip), top=2, explain_as=tmp_path / "why" / "clip")
    in_the_way(tmp_path, task)
    entry = video_entry(predictor, task)
    assert entry["video"] == str(clip)
    assert entry["error"].startswith("not explained: ")
    assert "explanation" not in entry
    plain = video_entry(predictor, VideoTask(video=str(clip), top=2))
    assert {name: entry[name] for name in plain} == plain


@pytest.mark.parametrize(
    ("broken", "said"),
    [("no video", "open: "), ("", "open: the file is empty"), (None, "open: No such file or directory")],
)
def test_a_broken_video_takes_no_other_with_it(checkpoint, clip, tmp_path, broken, said):
    path = tmp_path / "broken.mp4"
    if broken is not None:
        path.write_text(broken)
    entries = predict_videos(
        checkpoint, [str(path), str(clip)], PredictOptions(top=1, explain_to=tmp_path / "why")
    )
    assert entries[0].keys() == {"video", "error"}
    assert entries[0]["video"] == str(path)
    assert said in entries[0]["error"]
    assert str(tmp_path) not in entries[0]["error"]
    assert {"label", "explanation"} <= entries[1].keys()


def test_a_fault_of_ours_at_one_video_is_its_error(predictor, clip, monkeypatch, tmp_path):
    def fail(self, path):
        raise RuntimeError("shapes\ndiffer")

    monkeypatch.setattr(Predictor, "predict_video", fail)
    entry = video_entry(predictor, VideoTask(video=str(clip), top=1))
    assert entry == {"video": str(clip), "error": "RuntimeError: shapes differ"}


def test_what_no_video_can_be_predicted_with_ends_the_call(checkpoint, clip):
    with pytest.raises(InputError, match=r"poses\.weights"):
        predict_videos(checkpoint, [str(clip)], PredictOptions(top=1, overrides=["poses.weights=/gone.pt"]))


def test_a_place_where_no_folder_can_be_made_is_refused_before_anything_is_predicted(
    checkpoint, clip, tmp_path
):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"^--explain .*file/why: no folder can be made there"):
        predict_videos(checkpoint, [str(clip)], PredictOptions(top=1, explain_to=tmp_path / "file" / "why"))


def test_an_entry_says_how_much_was_seen(predictor, clip):
    entry = video_entry(predictor, VideoTask(video=str(clip), top=3))
    assert entry.keys() >= EVIDENCE
    assert (entry["verdict"], entry["num_people_seen"], entry["frames_seen_share"]) == ("ok", 1, 1.0)
    assert 0.5 < entry["joints_seen_share"] <= 1
    line = entry_line(entry)
    assert "; seen: 1 person, 100% of the frames, " in line
    assert line.startswith(f"{entry['label']} {entry['probability']:.1%}, ")
    assert json.loads(json.dumps(entry)) == entry


def test_a_test_pattern_is_nobody(predictor, tmp_path):
    case = CASES / "nobody" / "nobody.mp4"
    if not case.is_file():
        pytest.skip(f"no {case}")
    entry = video_entry(predictor, VideoTask(video=str(case), top=3))
    assert (entry["verdict"], entry["top"]) == ("nobody", [])


def test_noise_is_nobody_to_the_embedded_network(predictor, tmp_path):
    frames = np.random.default_rng(0).integers(0, 256, (8, HEIGHT_PX, WIDTH_PX, 3), np.uint8)
    write_video(tmp_path / "noise.mp4", frames)
    entry = video_entry(predictor, VideoTask(video=str(tmp_path / "noise.mp4"), top=3))
    assert (entry["verdict"], entry["num_people_seen"]) == ("nobody", 0)


def test_nobody_is_said_and_no_label_where_no_scene_decides(predictor, tmp_path):
    video = video_of_nobody(tmp_path / "nobody.mp4")
    entry = video_entry(predictor, VideoTask(video=str(video), top=3, explain_as=tmp_path / "why" / "nobody"))
    assert (entry["verdict"], entry["label"], entry["probability"], entry["top"]) == (
        "nobody",
        None,
        None,
        [],
    )
    assert (entry["num_people_seen"], entry["frames_seen_share"], entry["joints_seen_share"]) == (0, 0.0, 0.0)
    assert entry_line(entry) == "nobody seen"
    assert len(entry["explanation"]) == 3


def test_answers_that_are_right_too_seldom_are_unsure(predictor, clip):
    from dataclasses import replace

    from harray.training.calibration import Calibration

    known = Calibration(confidence_N=(0.9999, 0.01), is_right_N=(True, False))
    sure_of = Predictor(replace(predictor.checkpoint, calibration=known), device="cpu")
    tasks = [VideoTask(video=str(clip), top=1, min_precision=share) for share in (0.5, 1.0)]
    entries = [video_entry(sure_of, task) for task in tasks]  # thresholds 0.01 and 0.9999
    assert [entry["verdict"] for entry in entries] == ["ok", "unsure"]
    assert entry_line(entries[1]).startswith(f"unsure: {entries[1]['label']} ")


def seen(joints: int, frames: int, people: int = 1) -> np.ndarray:
    """bool [2, 10, 17]: so many joints in so many frames of so many people."""
    visible_PTK = np.zeros((2, 10, 17), bool)
    visible_PTK[:people, :frames, :joints] = True
    return visible_PTK


@pytest.mark.parametrize(
    ("visible_PTK", "verdict", "frames_share", "joints_share"),
    [
        (seen(17, 10), "ok", 1.0, 1.0),
        (seen(17, 10, people=2), "ok", 1.0, 1.0),
        (seen(17, 2), "ok", 0.2, 0.2),
        (seen(17, 1), "unsure", 0.1, 0.1),
        (seen(3, 10), "unsure", 1.0, 3 / 17),
        (seen(1, 1), "nobody", 0.0, 1 / 170),
        (seen(8, 1, people=2), "nobody", 0.0, 8 / 170),
        (seen(0, 0), "nobody", 0.0, 0.0),
    ],
)
def test_the_verdict_goes_by_the_joints_of_whoever_is_seen_best(
    visible_PTK, verdict, frames_share, joints_share
):
    evidence = evidence_of(visible_PTK)
    assert evidence.verdict == verdict
    assert evidence.frames_seen_share == pytest.approx(frames_share)
    assert evidence.joints_seen_share == pytest.approx(joints_share)


def test_the_evidence_of_a_video_is_that_of_all_its_clips():
    clips = [evidence_of(seen(17, 10, people=2)), evidence_of(seen(0, 0))]
    assert evidence_together(clips) == Evidence(
        num_people_seen=2, frames_seen_share=0.5, joints_seen_share=0.5
    )


@pytest.mark.parametrize(
    ("shares", "line"),
    [
        ((0, 0.0, 0.0), "nobody seen; by the scene alone run 80.0%"),
        (
            (1, 0.5, 0.1),
            "unsure, little was seen: run 80.0%; seen: 1 person, 50% of the frames, 10% of the joints",
        ),
        ((2, 1.0, 0.9), "run 80.0%; seen: 2 people, 100% of the frames, 90% of the joints"),
    ],
)
def test_the_line_of_a_model_that_looks_at_the_scene_too(shares, line):
    people, frames, joints = shares
    evidence = Evidence(num_people_seen=people, frames_seen_share=frames, joints_seen_share=joints)
    assert entry_line({"top": [{"label": "run", "probability": 0.8}], **evidence.values()}) == line


def test_of_nobody_no_label_is_said_and_what_the_scene_says_stands_in_top(predictor, tmp_path):
    from dataclasses import replace

    prediction = predictor.predict_video(video_of_nobody(tmp_path / "nobody.mp4"))
    by_scene = replace(prediction, clips=replace(prediction.clips, gate_N=np.array([0.5])))
    said = said_of(by_scene, top=3)
    assert said["verdict"] == "nobody"
    assert (said["label"], said["probability"], len(said["top"])) == (None, None, 3)
    assert by_scene.headline().startswith("nobody seen: ")
