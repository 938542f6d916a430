"""CFN's linear probe: what it learns, how sure it is, and what training is told by it."""

import copy
import dataclasses

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from harray.training.probes import LinearProbe
from harray.training.scene_probe import fit_scene_probe, temperature_of
from harray.training.workers import WorkerGroup
from tests.training.test_loop import toy, trainer

ALONE = WorkerGroup()


def fitted(clips, ties=None):
    network = trainer(val=False).network
    network.cfn.mean_D.copy_(clips.tokens_NSD.float().mean((0, 1)))
    network.cfn.std_D.copy_(clips.tokens_NSD.float().flatten(0, 1).std(0))
    held_out_NA = fit_scene_probe(network, clips, ties or [str(n) for n in range(len(clips))], ALONE)
    return network, held_out_NA


def test_what_it_says_of_training_clips_it_learned_from_others():
    clips = toy(60)
    _, held_out_NA = fitted(clips)
    scene = clips.labels_N // 2  # the toy's scene tells two pairs of classes apart
    said = held_out_NA.reshape(-1, 2, 2).logsumexp(dim=2).argmax(dim=1)
    assert (said == scene).float().mean() > 0.95
    # A label that its scene contradicts is not memorised: what is said of the clip comes from the others.
    wrong = copy.deepcopy(clips)
    wrong.labels_N[0] = (wrong.labels_N[0] + 2) % 4
    _, held_out_NA = fitted(wrong)
    assert held_out_NA[0, wrong.labels_N[0]] < held_out_NA[0, clips.labels_N[0]]


def test_a_scene_that_tells_nothing_says_next_to_nothing():
    clips = toy(60)
    clips.tokens_NSD[:] = torch.from_numpy(np.random.default_rng(0).normal(size=clips.tokens_NSD.shape))
    network, held_out_NA = fitted(clips)
    assert held_out_NA.std(dim=1).mean() < 0.3
    assert network.cfn.probe(clips.tokens_NSD).softmax(1).amax(1).mean() < 0.4


def test_noise_for_a_scene_is_told_from_a_scene():
    rng, clips = np.random.default_rng(0), toy(80)
    tokens = rng.exponential(1.0, (80, 40, 10)) * (
        rng.random((80, 1, 10)) < 0.5
    )  # a channel is there or is not
    tokens[:, 3, 0] += 4 * (clips.labels_N.numpy() // 2)
    clips = dataclasses.replace(clips, tokens_NSD=torch.tensor(tokens, dtype=torch.float16))
    network, _ = fitted(clips)
    noise = network.cfn.mean_D + network.cfn.std_D * torch.randn(40, *clips.tokens_NSD.shape[1:])
    assert (
        network.cfn.probe(noise).std(dim=1).mean() < network.cfn.probe(clips.tokens_NSD).std(dim=1).mean() / 4
    )


def test_clips_of_one_group_are_held_out_one_by_one():
    clips = toy(60)
    _, held_out_NA = fitted(clips, ties=["one actor"] * 60)
    said = held_out_NA.reshape(-1, 2, 2).logsumexp(dim=2).argmax(dim=1)
    assert (said == clips.labels_N // 2).float().mean() > 0.9


def test_without_a_probe_nothing_is_fitted():
    from harray.config import with_overrides
    from tests.training.test_loop import MODEL

    network = trainer(val=False, model=with_overrides(MODEL, {"cfn.probe": False})).network
    assert fit_scene_probe(network, toy(20), [str(n) for n in range(20)], ALONE) is None


@pytest.mark.parametrize("factor", [0.5, 1.0, 4.0])
def test_the_temperature_is_that_of_logits_made_too_sharp(factor):
    rng = np.random.default_rng(0)
    logits_NA = rng.normal(0, 2, (4000, 5))
    labels_N = (logits_NA + rng.gumbel(size=logits_NA.shape)).argmax(
        axis=1
    )  # drawn by the logits' probabilities
    assert temperature_of(factor * logits_NA, labels_N) == pytest.approx(factor, rel=0.1)


def test_neutral_features_pull_the_probe_to_indifference():
    rng = np.random.default_rng(0)
    x_ND, labels_N = rng.normal(size=(80, 6)), np.arange(80) % 3
    x_ND[:, 0] += 2 * labels_N
    neutral_MD = np.full((8, 6), 3.0)
    probe = LinearProbe.fit(x_ND, labels_N, 3, strength=100.0, neutral_MD=neutral_MD)
    alone = LinearProbe.fit(x_ND, labels_N, 3, strength=100.0)
    assert probe.probabilities(neutral_MD)[0].max() < alone.probabilities(neutral_MD)[0].max()
    # scikit-learn, told of every neutral row once for each class with a third of the weight, agrees
    rows = np.concatenate([x_ND, *[neutral_MD] * 3])
    scale = np.sqrt(
        np.square(np.concatenate([x_ND, neutral_MD]) - np.concatenate([x_ND, neutral_MD]).mean(0))
        .sum(1)
        .mean()
    )
    truth = np.concatenate([labels_N, np.repeat(np.arange(3), 8)])
    weight = np.concatenate([np.ones(80), np.full(24, 1 / 3)])
    model = LogisticRegression(C=100.0, tol=1e-8, max_iter=5000).fit(rows / scale, truth, weight)
    np.testing.assert_allclose(probe.probabilities(x_ND), model.predict_proba(x_ND / scale), atol=2e-3)
