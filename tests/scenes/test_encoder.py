import numpy as np
import pytest
import torch

from harray.config import with_overrides
from harray.errors import InputError
from harray.networks.backends import installed_backends
from harray.networks.precision import has_fast_bf16
from harray.scenes.config import ScenesConfig
from harray.scenes.encoder import SceneEncoder, pooled, scene_frame_indices, scene_shape
from harray.scenes.network import load_trunk
from harray.scenes.weights import locate_scene_weights, scene_weights_digest
from harray.synth.samples import sample_frames

RANDOM = ScenesConfig(weights="random", image_size=64, grid=2, precision="fp32")


def pictures(*colours, height=30, width=40):
    return np.stack([np.full((height, width, 3), colour, np.uint8) for colour in colours])


@pytest.fixture(scope="module")
def encoder():
    return SceneEncoder(RANDOM)


@pytest.mark.parametrize(
    ("num_clip_frames", "num_frames", "expected"),
    [(32, 1, [16]), (32, 2, [8, 24]), (8, 4, [1, 3, 5, 7]), (3, 3, [0, 1, 2]), (1, 2, [0, 0])],
)
def test_the_scene_is_seen_in_the_middles_of_equal_parts(num_clip_frames, num_frames, expected):
    assert scene_frame_indices(num_clip_frames, num_frames).tolist() == expected


def test_tokens_have_the_promised_shape_and_type(encoder):
    tokens = encoder.encode(pictures(0, 255, 90))
    assert tokens.shape == (3, 4, 2048)
    assert tokens.dtype == np.float16
    assert np.isfinite(tokens).all()
    assert scene_shape(RANDOM) == (2, 4, 2048)
    assert scene_shape(ScenesConfig(weights="none")) is None


def test_a_token_lies_over_its_part_of_the_frame(encoder):
    """A mark in the lower left quarter changes token 2 (row 1, column 0) the most."""
    plain = pictures(120)
    marked = plain.copy()
    marked[0, 20:28, 4:16] = (255, 0, 0)
    change = np.abs(encoder.encode(marked).astype(float) - encoder.encode(plain)).mean(axis=-1)[0]
    assert change.argmax() == 2


def test_random_weights_follow_from_the_seed_alone():
    torch.manual_seed(1)
    first = SceneEncoder(RANDOM).encode(pictures(10, 200))
    torch.manual_seed(2)
    state = torch.random.get_rng_state()
    second = SceneEncoder(RANDOM).encode(pictures(10, 200))
    assert (torch.random.get_rng_state() == state).all()
    np.testing.assert_array_equal(first, second)
    other = ScenesConfig(weights="random", image_size=64, grid=2, seed=1)
    assert np.abs(SceneEncoder(other).encode(pictures(10, 200)).astype(float) - first).mean() > 0.01
    assert scene_weights_digest(other) != scene_weights_digest(RANDOM)


def test_random_weights_keep_different_pictures_apart(encoder):
    """Tokens of two greys are more alike than those of red and blue, and none are all alike."""
    means = (
        encoder.encode(pictures((120,) * 3, (130,) * 3, (200, 20, 20), (20, 20, 200)))
        .mean(axis=1)
        .astype(float)
    )
    distance = np.linalg.norm(means[:, None] - means[None], axis=-1) / np.linalg.norm(means, axis=-1).mean()
    assert distance[0, 1] < 0.5 * distance[2, 3]
    assert distance[2, 3] > 0.2


def test_a_state_dict_of_torchvision_is_loaded(tmp_path):
    from torchvision.models import resnet50

    network = resnet50(weights=None).eval()
    torch.save(network.state_dict(), tmp_path / "resnet.pth")
    trunk = load_trunk(ScenesConfig(weights=str(tmp_path / "resnet.pth")))
    images = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        pooled = trunk(images).mean(dim=(2, 3))
        torch.testing.assert_close(network.fc(pooled), network(images), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ("nowhere.pth", "no such file; expected a path, imagenet, random or none"),
        ("text", "not a state dict"),
    ],
)
def test_weights_that_are_none_are_refused(tmp_path, weights, message):
    (tmp_path / "text").write_text("hello")
    weights = str(tmp_path / weights)
    with pytest.raises(InputError, match=message) as error:
        load_trunk(ScenesConfig(weights=weights))
    assert "\n" not in str(error.value)


def test_where_weights_would_come_from_is_said_without_fetching(tmp_path, monkeypatch):
    monkeypatch.setenv("HARRAY_CACHE", str(tmp_path))
    assert locate_scene_weights("imagenet").startswith(
        "https://download.pytorch.org/models/resnet50-0676ba61.pth"
    )
    assert "no scene branch" in locate_scene_weights("none")


@pytest.mark.slow
@pytest.mark.parametrize("backend", [name for name in installed_backends() if name != "torch"])
def test_every_runtime_gives_the_tokens_of_torch(backend):
    frames = sample_frames(2)
    by_torch, other = (
        SceneEncoder(with_overrides(RANDOM, {"backend": name})).encode(frames).astype(float)
        for name in ("torch", backend)
    )
    assert np.abs(by_torch - other).mean() < 0.001 * by_torch.mean()


@pytest.mark.skipif(not has_fast_bf16(), reason="this processor has no bfloat16")
@pytest.mark.slow
def test_bf16_gives_nearly_the_same_tokens():
    frames = sample_frames(2)
    full, lower = (
        SceneEncoder(with_overrides(RANDOM, {"precision": name})).encode(frames).astype(float)
        for name in ("fp32", "bf16")
    )
    assert 0 < np.abs(full - lower).mean() < 0.06 * full.mean()


@pytest.mark.parametrize(("size", "grid"), [((7, 7), 7), ((7, 7), 3), ((5, 8), 2), ((2, 2), 3)])
def test_pooling_is_that_of_torch(size, grid):
    features = np.random.default_rng(0).random((2, 3, *size), dtype=np.float32)
    expected = torch.nn.functional.adaptive_avg_pool2d(torch.from_numpy(features), grid)
    np.testing.assert_allclose(pooled(features, grid), expected.numpy(), rtol=1e-5)
