"""Two actors beside each other who do different things: each gets their own label, and none from the other."""

import numpy as np
import pytest

from harray.inference import Predictor
from harray.live.recogniser import Recogniser
from harray.synth.config import WIDTH_PX
from harray.synth.pairs import Pair, render_pair
from harray.synth.render import write_video
from tests.serving.models import specs_of

UNSEEN_ACTORS = 99  # seed of a set that the little model never saw


def last_labels(recogniser: Recogniser, video: str) -> dict[str, str | None]:
    """What is said in the end of whoever stands left and right."""
    said = {}
    for step in recogniser.watch(video, own_speed=False):
        for track in step.view["tracks"]:
            if places := [joint[0] for joint in track["keypoints"] if joint]:
                said["left" if np.median(places) < WIDTH_PX / 2 else "right"] = track["label"]
    return said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("left", "right"),
    [("jumping_jacks", "jog_street"), ("jog_street", "lift_box"), ("lift_box", "jumping_jacks")],
)
def test_each_of_two_gets_the_label_of_their_own_action(little_model, tmp_path, left, right):
    recogniser = Recogniser(Predictor.load(little_model, device="cpu", num_threads=1))
    assert recogniser.traits.num_people == 1
    one, other = (specs_of((label,), UNSEEN_ACTORS, 3)[place] for place, label in enumerate((left, right)))
    write_video(tmp_path / "two.mp4", render_pair(Pair(left=one, right=other, scene="street")))
    assert last_labels(recogniser, str(tmp_path / "two.mp4")) == {"left": left, "right": right}
    assert recogniser.summary.num_people == 2
