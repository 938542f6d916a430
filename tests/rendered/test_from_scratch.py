"""Training of the embedded weights: labels follow the augmented pictures, and a tiny training runs through."""

import dataclasses

import numpy as np
import pytest
import torch

from harray.errors import InputError
from harray.poses.embedded import load_card, load_embedded_model
from harray.poses.weights import prepare_ultralytics
from harray.rendered import from_scratch
from harray.rendered.from_scratch import PoseTrainingConfig, evaluation_specs, training_specs
from harray.rendered.limb_losses import DistanceLoss, JointMaps
from harray.rendered.training_frames import PoseFrames, make_batch
from harray.synth.clips import clip_specs
from harray.synth.config import SynthConfig
from tests.reporters import Recorder

TINY = PoseTrainingConfig(
    clips_per_action=3, frames_per_clip=1, num_epochs=1, batch_size=4, image_size=96, num_evaluation_clips=1
)


def dotted_frames(count: int) -> PoseFrames:
    """Black frames with a white square at joint 9 (left wrist); joints 10 and the rest lie in the middle."""
    rng = np.random.default_rng(0)
    images = np.zeros((count, 96, 128, 3), np.uint8)
    joints = np.full((count, 17, 2), [64.0, 48.0], np.float32)
    for image, joint in zip(images, joints, strict=True):
        x, y = rng.integers(40, 88), rng.integers(30, 66)
        image[y - 2 : y + 3, x - 2 : x + 3] = 255
        joint[9] = x + 0.5, y + 0.5
    boxes = np.tile(np.array([30.0, 20.0, 98.0, 76.0], np.float32), (count, 1))
    return PoseFrames(
        images_BHWC=images,
        frame_N=np.arange(count),
        boxes_N4=boxes,
        keypoints_NKC=joints,
        visible_NK=np.ones((count, 17), bool),
    )


def test_joints_move_with_the_picture_and_left_becomes_right_where_it_is_mirrored():
    frames = dotted_frames(12)
    batch = make_batch(frames, np.arange(12)[::-1], np.random.default_rng(1))
    mirrored = 0
    for n, image in enumerate(batch["img"]):
        ys, xs = torch.nonzero(image.mean(0) > 0.6, as_tuple=True)
        seen = torch.stack([(xs.float().mean() + 0.5) / 128, (ys.float().mean() + 0.5) / 96])
        joints = batch["keypoints"][n, :, :2]
        distances = [(joints[k] - seen).norm().item() for k in (9, 10)]
        assert min(distances) < 0.01
        mirrored += distances[1] < distances[0]
    assert 0 < mirrored < 12


def test_boxes_stay_around_their_joints_and_within_the_picture():
    batch = make_batch(dotted_frames(12), np.arange(12), np.random.default_rng(1))
    low, high = (batch["bboxes"][:, :2] + sign * batch["bboxes"][:, 2:] / 2 for sign in (-1, 1))
    assert (low >= -1e-6).all()
    assert (high <= 1 + 1e-6).all()
    inside = (batch["keypoints"][..., :2] >= low[:, None]) & (batch["keypoints"][..., :2] <= high[:, None])
    assert inside.all()


def test_no_actor_of_training_is_in_the_evaluation_or_in_a_users_set():
    trained = {(spec.seed, spec.actor) for spec in training_specs(TINY)}
    assert len(trained) == len(training_specs(TINY))  # every clip an actor of its own
    assert trained.isdisjoint((spec.seed, spec.actor) for spec in evaluation_specs(TINY))
    assert trained.isdisjoint((spec.seed, spec.actor) for spec in clip_specs(SynthConfig()))


@pytest.mark.slow
def test_a_tiny_training_writes_weights_that_load_and_a_card(tmp_path):
    told = Recorder()
    out = tmp_path / "made" / "pose_procedural.safetensors"
    card = from_scratch.train_pose_weights(out.parent, TINY, told, "a command")
    assert list(dict.fromkeys(title for title, *_ in told.updates)) == ["render", "train", "evaluate"]
    assert load_card(out) == card
    assert card["command"] == "a command"
    assert card["training"]["num_frames"] == 36
    with torch.inference_mode():
        assert load_embedded_model(out)(torch.rand(1, 3, 96, 128))[0].shape[:2] == (1, 56)


def test_the_same_seed_trains_the_same_weights():
    one, other = (
        from_scratch.fit_network(
            dotted_frames(8), dataclasses.replace(TINY, seed=seed), lambda done, total: None
        )
        for seed in (0, 0)
    )
    for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b)


def test_a_file_in_place_of_the_folder_is_refused_before_any_work(tmp_path):
    (tmp_path / "weights").write_text("")
    with pytest.raises(InputError, match="expected a folder"):
        from_scratch.train_pose_weights(tmp_path / "weights", TINY)


def test_the_distance_of_a_joint_counts_in_box_sides_and_by_its_weight():
    true = torch.zeros(1, 17, 3)
    guess, seen = true.clone(), torch.zeros(1, 17, dtype=torch.bool)
    guess[0, 9, 0], guess[0, 5, 1] = 3.0, 4.0  # left wrist (weight 2.5) and left shoulder (0.7), in cells
    seen[0, [9, 5]] = True
    area = torch.tensor([[100.0]])
    expected = (2.5 * 0.3 + 0.7 * 0.4) / 3.2
    assert DistanceLoss()(guess, true, seen, area).item() == pytest.approx(expected, abs=1e-3)
    assert DistanceLoss()(guess, true, torch.zeros_like(seen), area).item() == 0.0


def test_a_visible_joint_makes_a_spot_in_its_cell_of_its_image_and_a_hidden_one_none():
    prepare_ultralytics()
    maps = JointMaps(from_scratch.build_pose_model(from_scratch.ARCHITECTURE))
    keypoints = torch.full((2, 17, 3), 0.5)
    keypoints[..., 2] = 0
    keypoints[1, 9] = torch.tensor([(2 + 0.5) / 8, (4 + 0.5) / 6, 1.0])  # of the person in the second image
    batch = {"img": torch.zeros(2, 3, 96, 128), "keypoints": keypoints, "batch_idx": torch.tensor([0.0, 1.0])}
    spots = maps.spots(batch)
    assert spots.shape == (2, 17, 6, 8)
    assert spots[1, 9, 4, 2] == 1.0
    assert spots[1, 9, 4, 3].item() == pytest.approx(np.exp(-0.5 / 0.8**2))
    spots[1, 9] = 0
    assert not spots.any()
