from dataclasses import replace

import pytest

from harray.config import with_overrides
from harray.errors import InputError
from harray.extraction.config import ExtractionConfig, clip_id, shaping_values
from harray.extraction.provenance import Provenance
from harray.videos.files import content_digest

CONFIG = ExtractionConfig()
DIGESTS = {"poses": "p", "scenes": "s"}


def identity(overrides):
    return Provenance(extraction=shaping_values(with_overrides(CONFIG, overrides)), weights=DIGESTS).digest


@pytest.mark.parametrize(
    "overrides",
    [
        {"poses.batch_size": 64},
        {"poses.gpus_per_actor": 1.0},
        {"poses.backend": "torch"},
        {"scenes.backend": "openvino"},
        {"poses.weights": "/elsewhere/yolov8n-pose.pt"},  # their bytes' digest stands for them
        {"poses.image_size": 640},  # what it is without being named
        {"scenes.batch_size": 1},
        {"scenes.weights": "/elsewhere/resnet.pth"},
        {"scenes.seed": 3},  # is part of the digest of random weights
    ],
)
def test_what_only_the_machine_sees_is_no_part_of_a_clips_identity(overrides):
    assert identity(overrides) == identity({})


@pytest.mark.parametrize(
    "overrides",
    [
        {"videos.num_frames": 16},
        {"poses.image_size": 320},
        {"poses.min_box_confidence": 0.5},
        {"poses.max_people": 1},
        {"scenes.grid": 3},
        {"scenes.num_frames": 1},
        {"scenes.image_size": 160},
        {"scenes.weights": "none"},
        {"poses.precision": "bf16"},
        {"scenes.precision": "fp32"},
    ],
)
def test_what_shapes_the_features_is_part_of_it(overrides):
    assert identity(overrides) != identity({})


def test_what_was_made_before_there_were_precisions_is_the_same_as_fp32():
    shaping = shaping_values(with_overrides(CONFIG, {"poses.precision": "fp32", "scenes.precision": "fp32"}))
    older = {**shaping, **{room: dict(shaping[room]) for room in ("poses", "scenes")}}
    del older["poses"]["precision"], older["scenes"]["precision"]
    now = Provenance(extraction=shaping, weights=DIGESTS)
    assert Provenance(extraction=older, weights=DIGESTS).digest == now.digest
    assert Provenance.from_dict({"extraction": older, "weights": DIGESTS, "origin": {}}) == now
    assert identity({"poses.precision": "bf16"}) != now.digest


def test_predictions_run_as_the_features_were_made_where_that_is_possible():
    config = with_overrides(CONFIG, {"poses.weights": "embedded", "scenes.weights": "none"})
    on_gpu = Provenance.of(with_overrides(config, {"poses.precision": "fp16"}))
    older = Provenance.of(with_overrides(config, {"poses.precision": "fp32"}))
    assert on_gpu.config_for_prediction({}, "cpu").poses.precision == "auto"
    assert on_gpu.config_for_prediction({}, "cuda").poses.precision == "fp16"
    assert older.config_for_prediction({}, "cpu").poses.precision == "fp32"
    assert older.config_for_prediction({"poses.precision": "auto"}, "cpu").poses.precision == "auto"


def test_other_weights_are_another_identity():
    ours = Provenance(extraction=shaping_values(CONFIG), weights=DIGESTS)
    assert ours.digest != replace(ours, weights={**DIGESTS, "poses": "q"}).digest


def test_without_a_scene_branch_its_settings_do_not_matter():
    assert identity({"scenes.weights": "none"}) == identity({"scenes.weights": "none", "scenes.grid": 3})


def test_a_clip_is_its_bytes_and_its_settings(tmp_path):
    for name, content in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        (tmp_path / name).write_bytes(content)
    ids = [clip_id(content_digest(tmp_path / name), "s") for name in "abc"]
    assert ids[0] == ids[1] != ids[2]
    assert len(ids[0]) == 32
    assert clip_id(content_digest(tmp_path / "a"), "t") != ids[0]


@pytest.mark.parametrize(
    "cutting", [{"videos.clip_sec": 2.0}, {"videos.clip_sec": 2.0, "videos.stride_sec": 1.0}]
)
def test_videos_cut_otherwise_are_other_clips(cutting):
    assert identity(cutting) != identity({})


def test_how_long_reading_may_take_does_not_matter():
    assert identity({"videos.limit_sec": 1.0}) == identity({})


def test_a_stores_settings_lead_back_to_the_config_that_made_it():
    config = with_overrides(
        CONFIG, {"poses.weights": "embedded", "scenes.weights": "random", "scenes.seed": 4, "scenes.grid": 3}
    )
    provenance = Provenance.of(config)
    assert Provenance.of(provenance.config()) == provenance


def test_other_weights_than_the_stores_are_refused():
    config = with_overrides(CONFIG, {"poses.weights": "embedded", "scenes.weights": "random"})
    with pytest.raises(InputError, match=r"scenes.weights=random: other bytes"):
        Provenance.of(config).config({"scenes.seed": 9})


def test_features_of_another_version_are_refused():
    config = with_overrides(CONFIG, {"poses.weights": "embedded", "scenes.weights": "random"})
    older = replace(Provenance.of(config), extraction={**shaping_values(config), "version": 0})
    with pytest.raises(InputError, match="features of version 0"):
        older.config()
