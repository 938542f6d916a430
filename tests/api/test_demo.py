"""The demo's folder belongs to one demo at a time."""

import pytest

from harray.api.demo import run_demo
from harray.errors import InputError
from harray.files import holding
from harray.recipes import recipe_named


def test_a_second_demo_in_the_same_folder_is_refused_at_once(tmp_path):
    def begin():
        run_demo(
            tmp_path,
            recipe_named("procedural"),
            clips_per_action=3,
            tracking=None,
            on_stage=lambda title, unit: pytest.fail(title),
            on_message=print,
        )

    with (
        holding(tmp_path, "held"),
        pytest.raises(
            InputError, match=r"another `harray demo` works there; wait for its end, or name another"
        ),
    ):
        begin()
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_a_folder_is_free_again_however_its_holder_ended(tmp_path):
    for ending in (None, RuntimeError(), KeyboardInterrupt()):
        try:
            with holding(tmp_path, "held"):
                if ending:
                    raise ending
        except (RuntimeError, KeyboardInterrupt):
            pass
    with holding(tmp_path, "held"):
        pass
