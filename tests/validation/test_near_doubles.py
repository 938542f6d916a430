"""Clips of one source without groups are held out together."""

import dataclasses

import numpy as np
import pytest
import torch

from harray.features.tensors import ClipTensors, clips_from_arrays
from harray.skeleton import PENN13
from harray.validation.near_doubles import near_doubles


def clips_of(num_sources=24, per_source=3, *, alike=0.01, scenes=False) -> tuple[ClipTensors, list[int]]:
    """Each source has a body and a place of its own, of which its clips differ by `alike`; four labels."""
    rng = np.random.default_rng(0)
    source_N = np.repeat(np.arange(num_sources), per_source)
    body = rng.normal(0, 0.3, (num_sources, 13, 2))[source_N] + np.linspace(-1, 1, 13)[:, None]
    keypoints = body[:, None, None] + rng.normal(0, alike, (len(source_N), 1, 8, 13, 2))
    place = rng.random((num_sources, 1, 2, 12))[source_N] + rng.normal(0, alike, (len(source_N), 1, 2, 12))
    clips = clips_from_arrays(
        np.concatenate([100 * keypoints, np.ones((*keypoints.shape[:-1], 1))], axis=-1),
        skeleton=PENN13,
        scene_tokens_NFSD=place[:, :, :, :] if scenes else None,
        classes=tuple("abcd"),
    )
    named = [f"id{n}" for n in range(len(source_N))]
    clips = dataclasses.replace(clips, labels_N=torch.from_numpy(source_N % 4), clip_ids=named)
    return clips, source_N.tolist()


@pytest.mark.parametrize("scenes", [False, True], ids=["by poses", "by scenes"])
def test_clips_of_one_source_are_tied_and_those_of_others_are_not(scenes):
    clips, sources = clips_of(scenes=scenes)
    ties = near_doubles(clips)
    pairs = [(one, other) for one in range(len(ties)) for other in range(one)]
    tied = {pair for pair in pairs if ties[pair[0]] == ties[pair[1]]}
    same = {pair for pair in pairs if sources[pair[0]] == sources[pair[1]]}
    assert same <= tied
    assert len(tied - same) <= 0.5 * len(same)  # by chance


def test_clips_that_are_no_nearer_than_chance_are_rarely_tied():
    clips, _ = clips_of(num_sources=60, per_source=1)
    assert len(set(near_doubles(clips))) > 50


def test_one_clip_twice_is_one_tie_and_one_label_alone_ties_nothing():
    clips, _ = clips_of(per_source=1)
    twice = dataclasses.replace(clips, clip_ids=["same", "same", *clips.clip_ids[2:]])
    assert near_doubles(twice)[0] == near_doubles(twice)[1]
    alone = dataclasses.replace(clips, labels_N=torch.zeros(len(clips), dtype=torch.int64))
    assert len(set(near_doubles(alone))) == len(clips)
