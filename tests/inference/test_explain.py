import numpy as np

from harray.inference.explain import while_present
from harray.inference.pictures import COMPLETED_RGB, OBSERVED_RGB, attention_over_scene, draw_skeletons
from harray.skeleton import COCO17


def test_people_are_drawn_from_first_to_last_sight_only():
    completed = np.ones((2, 5, 17, 2))
    visible = np.zeros((2, 5, 17), bool)
    visible[0, [1, 3], 4] = True
    drawn = np.isfinite(while_present(completed, visible)).all(axis=(2, 3))
    assert drawn.tolist() == [[False, True, True, True, False], [False] * 5]


def test_observed_and_completed_joints_look_different_and_absent_ones_are_not_drawn():
    keypoints = np.full((1, 17, 2), np.nan)
    visible = np.zeros((1, 17), bool)
    keypoints[0, 9], visible[0, 9] = (30, 40), True  # a wrist without its elbow: no bone in between
    keypoints[0, 16] = (90, 60)
    picture = draw_skeletons(np.zeros((120, 160, 3), np.uint8), keypoints, visible, COCO17)
    assert tuple(picture[40, 30]) == OBSERVED_RGB[0]
    assert tuple(picture[60, 90]) == (0, 0, 0)  # the ring's middle
    assert (picture == COMPLETED_RGB).all(axis=2).any()
    picture[30:50, 20:40] = picture[50:70, 80:100] = 0
    assert not picture.any()


def test_every_scene_frame_gets_a_row_with_its_time():
    frames = np.zeros((2, 24, 32, 3), np.uint8)
    figure = attention_over_scene(frames, np.full((2, 3, 3), 1 / 18), [0.5, 1.5], "wave 90%")
    assert [axes.get_title() for axes in figure.axes if axes.get_title()] == ["0.50 s", "1.50 s"]
