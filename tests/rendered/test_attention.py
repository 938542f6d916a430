"""Attention on an object: which cells its box covers, and what even attention comes to."""

import numpy as np
import pytest

from harray.rendered.attention import covered, relative_attention
from harray.synth.config import HEIGHT_PX, WIDTH_PX


def test_a_box_covers_cells_by_their_share():
    box = np.array([[0, 0, 0.75 * WIDTH_PX, 0.5 * HEIGHT_PX]])
    assert covered(box, 2)[0].tolist() == [[1.0, 0.5], [0.0, 0.0]]


def test_even_attention_is_one_and_attention_on_the_box_alone_is_its_share_inverted():
    box = np.array([[0, 0, 0.5 * WIDTH_PX, 0.5 * HEIGHT_PX]] * 2)
    assert relative_attention(np.full((2, 2, 2), 1 / 8), box) == pytest.approx(1)
    on_it = np.zeros((2, 2, 2))
    on_it[:, 0, 0] = 0.5
    assert relative_attention(on_it, box) == pytest.approx(4)
    assert relative_attention(1 / 6 - on_it / 3, box) == pytest.approx(0)


def test_a_box_out_of_sight_counts_for_nothing():
    box = np.array([[WIDTH_PX + 5.0, 0, WIDTH_PX + 50, 20]])
    assert np.isnan(relative_attention(np.full((1, 2, 2), 0.25), box))
