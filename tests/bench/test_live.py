"""The measurement of live recognition, as far as it goes without real weights."""

import pytest

from harray.bench.live import own_speed, untrained
from harray.live.recogniser import Recogniser
from harray.synth.render import write_video
from tests.serving.models import EXTRACTION, frames_of


@pytest.mark.slow
def test_a_film_is_watched_again_and_again_as_one_stream(tmp_path):
    write_video(tmp_path / "film.mp4", frames_of("jog_street")[:25])
    said, memory_mb = own_speed(Recogniser(untrained(EXTRACTION)), tmp_path / "film.mp4", 3.5)
    assert said["frames"] + said["skipped"] > 50 and said["cuts"] >= 2
    assert 0 < memory_mb["first"] <= memory_mb["most"] >= memory_mb["last"]
