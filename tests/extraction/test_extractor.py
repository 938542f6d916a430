import av
import numpy as np
import pytest

from harray.config import with_overrides
from harray.extraction.config import ExtractionConfig, needed_pictures
from harray.extraction.extractor import ClipExtractor, clip_scene_shape, keypoints_shape
from harray.extraction.faults import ExtractionError
from harray.poses.detector import _frame_detections
from harray.poses.letterbox import fit, letterbox_for
from tests.videos.test_frames import write_video


@pytest.fixture(scope="module")
def config(shared_data):
    values = {
        "videos.num_frames": 8,
        "poses.weights": str(shared_data / "weights" / "yolov8n-pose.pt"),
        "poses.image_size": 320,
        "scenes.weights": "random",
        "scenes.image_size": 64,
        "scenes.grid": 2,
    }
    return with_overrides(ExtractionConfig(), values)


@pytest.fixture(scope="module")
def extractor(config):
    return ClipExtractor(config).load()


@pytest.fixture(scope="module")
def sparring(shared_data):
    return shared_data / "videos/ut_interaction/set1/0_1_4.avi"


def test_a_real_clip_of_two_people_gives_two_tracks_and_tokens(extractor, config, sparring):
    [features] = extractor.extract(sparring)
    assert features.keypoints_PTKC1.shape == keypoints_shape(config) == (2, 8, 17, 3)
    assert features.scene_tokens_FSD.shape == clip_scene_shape(config) == (2, 4, 2048)
    assert (features.keypoints_PTKC1[..., 2].max(axis=-1) > 0.5).mean() > 0.8
    left, right = np.sort(
        [np.median(track[..., 0][track[..., 2] > 0.5]) for track in features.keypoints_PTKC1]
    )
    assert right - left > 20
    assert features.frame_index_T.tolist()[0] == 0


def test_without_a_scene_branch_there_are_no_tokens(config, sparring):
    bare = with_overrides(config, {"scenes.weights": "none"})
    [features] = ClipExtractor(bare).extract(sparring)
    assert features.scene_tokens_FSD is None
    assert "scene_tokens" not in features.row("c")
    assert clip_scene_shape(bare) is None


def test_a_clip_with_nobody_in_it_is_no_error(extractor, shared_data):
    [features] = extractor.extract(shared_data / "videos/hard/tdd_test_titlecard_nobody.avi")
    assert not features.keypoints_PTKC1.any()


def test_a_clip_that_cannot_be_read_names_the_stage(extractor, tmp_path):
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(ExtractionError, match="the file is empty") as error:
        extractor.extract(tmp_path / "empty.mp4")
    assert error.value.stage == "open"


def test_a_network_that_fails_on_a_clip_names_its_stage(config, tmp_path):
    extractor = ClipExtractor(config)
    extractor.poses.__dict__["network"] = lambda images: 1 / 0
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 32
        container.mux(
            stream.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24"))
        )
        container.mux(stream.encode())
    with pytest.raises(ExtractionError) as error:
        extractor.extract(tmp_path / "a.mp4")
    assert (error.value.stage, type(error.value.cause)) == ("pose", ZeroDivisionError)


@pytest.mark.parametrize(("height", "width"), [(48, 64), (120, 160), (1200, 1600), (900, 400)])
def test_keypoints_are_in_px_of_the_video_however_small_its_frames_are_made(config, tmp_path, height, width):
    """The network is played by one that sees a person whose first joint is in the middle of the picture."""
    bare = with_overrides(config, {"scenes.weights": "none"})
    extractor = ClipExtractor(bare)
    assert needed_pictures(bare).long_px == 320

    def seen(inputs_BHWC):
        network_h, network_w = inputs_BHWC.shape[1:3]
        person = np.zeros((len(inputs_BHWC), 5 + 17 * 3), np.float32)
        person[:, :5] = 0, 0, network_w, network_h, 0.9
        person[:, 5:] = np.tile([network_w / 2, network_h / 2, 0.9], 17)
        return person

    def detect(frames_THWC):
        box = letterbox_for(*frames_THWC.shape[1:3], 320)
        return [_frame_detections(person[None], box) for person in seen(fit(frames_THWC, box))]

    extractor.poses.detect = detect
    path = write_video(tmp_path / "a.mp4", 8, height=height, width=width)
    [features] = extractor.extract(path)
    assert (features.height_px, features.width_px) == (height, width)
    middle_T2 = features.keypoints_PTKC1[:, :, 0, :2].max(axis=0)  # wherever the film's cuts put the person
    np.testing.assert_allclose(middle_T2, [[width / 2, height / 2]] * 8, rtol=0.01)
