import numpy as np
import pytest

from harray.poses.letterbox import GREY, fit, letterbox_for, to_source


@pytest.mark.parametrize(
    ("height", "width", "image_size", "size_hw", "input_hw", "top_left"),
    [
        (240, 320, 320, (240, 320), (256, 320), (8, 0)),
        (240, 320, 640, (480, 640), (480, 640), (0, 0)),
        (216, 180, 320, (320, 267), (320, 288), (0, 10)),
        (1080, 1920, 640, (360, 640), (384, 640), (12, 0)),
        (100, 100, 100, (128, 128), (128, 128), (0, 0)),  # rounded up to the stride
        (20, 8000, 320, (1, 320), (32, 320), (15, 0)),
        (1, 1, 64, (64, 64), (64, 64), (0, 0)),
    ],
)
def test_the_aspect_ratio_is_kept_and_padding_is_what_the_stride_needs(
    height, width, image_size, size_hw, input_hw, top_left
):
    box = letterbox_for(height, width, image_size)
    assert (box.size_hw, box.input_hw, (box.top, box.left)) == (size_hw, input_hw, top_left)


def test_coordinates_return_to_where_they_came_from():
    box = letterbox_for(120, 160, 320)  # twice the size, 8 px above and below
    inside = np.array([[0, 8], [320, 248], [100, 108]], np.float32)
    np.testing.assert_allclose(to_source(inside, box), [[0, 0], [160, 120], [50, 50]])
    np.testing.assert_allclose(
        to_source(np.array([[-10, 0], [400, 256]], np.float32), box), [[0, 0], [160, 120]]
    )


def test_a_mark_in_the_frame_is_found_where_the_geometry_says():
    frame = np.zeros((1, 120, 160, 3), np.uint8)
    frame[0, 40:44, 100:104] = 255
    box = letterbox_for(120, 160, 320)
    out = fit(frame, box)
    assert out.shape == (1, 256, 320, 3)
    assert (out[0, :8] == GREY).all()
    ys, xs = np.nonzero(out[0, 8:248, :, 0] > 128)
    np.testing.assert_allclose(
        to_source(np.array([xs.mean() + 0.5, ys.mean() + 8.5]), box), [102, 42], atol=0.3
    )
