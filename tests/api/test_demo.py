"""The demo's folder belongs to one demo at a time."""

import pytest

from harray.api.demo import demo
from harray.errors import InputError
from harray.files import holding
from harray.workspace import Workspace


@pytest.mark.slow
def test_a_second_demo_in_the_same_folder_is_refused_at_once(tmp_path):
    with (
        holding(tmp_path, "held"),
        pytest.raises(
            InputError, match=r"another `harray demo` works there; wait for its end, or name another"
        ),
    ):
        demo(workspace=Workspace(tmp_path), clips_per_action=3)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "logs"]


def test_a_folder_is_free_again_however_its_holder_ended(tmp_path):
    endings = (None, RuntimeError(), KeyboardInterrupt())
    held = []
    for ending in endings:
        try:
            with holding(tmp_path, "held"):
                held.append(ending)
                if ending:
                    raise ending
        except (RuntimeError, KeyboardInterrupt):
            pass
    with holding(tmp_path, "held"):
        assert held == list(endings)
