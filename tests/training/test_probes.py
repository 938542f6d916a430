"""Linear probes against scikit-learn, and against what can be worked out by hand."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from harray.training.probes import STRENGTHS, USUAL_STRENGTH, LinearProbe, strength_for


def clouds(num_clips, num_features, num_classes, spread=1.0):
    """Features about one centre a class, and labels of all classes."""
    rng = np.random.default_rng(0)
    labels_N = np.arange(num_clips) % num_classes
    centres_AD = rng.normal(0, 1, (num_classes, num_features))
    features_ND = centres_AD[labels_N] + rng.normal(0, spread, (num_clips, num_features)) + 5
    return features_ND.astype(np.float32), labels_N


def scaled(features_ND):
    about = features_ND.astype(float) - features_ND.mean(axis=0, dtype=float)
    return about / np.sqrt(np.square(about).sum(axis=1).mean())


@pytest.mark.parametrize("strength", [1.0, 30.0])
@pytest.mark.parametrize(
    ("num_clips", "num_features", "num_classes"), [(40, 90, 3), (90, 40, 3), (60, 20, 2), (80, 300, 8)]
)
def test_the_probabilities_are_those_of_scikit_learn(num_clips, num_features, num_classes, strength):
    features_ND, labels_N = clouds(num_clips, num_features, num_classes, spread=3.0)
    probe = LinearProbe.fit(features_ND, labels_N, num_classes, strength=strength)
    # of two classes scikit-learn fits one row of weights, whose penalty is twice that of two halves of it
    theirs = LogisticRegression(C=strength * (2 if num_classes == 2 else 1), tol=1e-8, max_iter=10_000)
    theirs.fit(scaled(features_ND), labels_N)
    np.testing.assert_allclose(
        probe.probabilities(features_ND), theirs.predict_proba(scaled(features_ND)), atol=1e-3
    )


def test_features_that_say_nothing_leave_how_often_each_class_occurs():
    labels_N = np.array([0, 0, 0, 1, 2, 2])
    probe = LinearProbe.fit(np.ones((6, 4), np.float32), labels_N, 3, strength=1.0)
    np.testing.assert_allclose(probe.probabilities(np.ones((1, 4))), [[1 / 2, 1 / 6, 1 / 3]], atol=1e-3)


def test_units_of_the_features_change_nothing():
    features_ND, labels_N = clouds(30, 12, 3)
    first = LinearProbe.fit(features_ND, labels_N, 3, strength=10.0).probabilities(features_ND)
    moved_ND = 1000 * features_ND - 7
    again = LinearProbe.fit(moved_ND, labels_N, 3, strength=10.0).probabilities(moved_ND)
    np.testing.assert_allclose(first, again, atol=1e-3)


def test_a_class_without_clips_is_next_to_impossible():
    features_ND, labels_N = clouds(30, 12, 3)
    probabilities_NA = LinearProbe.fit(features_ND, labels_N, 5, strength=10.0).probabilities(features_ND)
    assert probabilities_NA[:, 3:].max() < 0.01
    assert (probabilities_NA.argmax(axis=1) == labels_N).all()


def test_the_same_clips_give_the_same_probe():
    features_ND, labels_N = clouds(50, 80, 4)
    first, second = (LinearProbe.fit(features_ND, labels_N, 4, strength=10.0) for _ in range(2))
    assert np.array_equal(first.weight_DA, second.weight_DA)
    assert np.array_equal(first.bias_A, second.bias_A)


def test_the_strength_follows_what_the_features_can_say():
    features_ND, labels_N = clouds(80, 40, 4, spread=0.1)
    names = [str(number) for number in range(80)]
    assert strength_for(features_ND, labels_N, names, 4) == max(STRENGTHS)
    noise_ND = np.random.default_rng(1).normal(size=(80, 40)).astype(np.float32)
    assert strength_for(noise_ND, labels_N, names, 4) == min(STRENGTHS)


def test_copies_that_are_tied_do_not_choose_for_each_other():
    """Each clip eight times over: apart, the copies would vouch for a noise that says nothing."""
    noise_ND = np.random.default_rng(1).normal(size=(40, 100)).astype(np.float32).repeat(8, axis=0)
    labels_N = (np.arange(40) % 2).repeat(8)
    tied = [f"source {number // 8:02}" for number in range(320)]
    apart = [f"clip {number:03}" for number in range(320)]
    assert strength_for(noise_ND, labels_N, tied, 2) == min(STRENGTHS)
    assert strength_for(noise_ND, labels_N, apart, 2) == max(STRENGTHS)
    assert strength_for(noise_ND, labels_N, ["one"] * 320, 2) == USUAL_STRENGTH
