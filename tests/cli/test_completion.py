"""Shells complete commands, recipes and config keys."""

import pytest


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("harray rec", ["recipes"]),
        ("harray train --recipe skel", ["skeleton", "skeleton_small"]),
        ("harray config --recipe ucf", ["ucf101"]),
        ("harray train training.num_e", ["training.num_epochs="]),
        ("harray extract videos videos.str", ["videos.stride_sec="]),
        ("harray config model.pcm.num_c", ["model.pcm.num_components"]),
    ],
)
def test_a_word_is_completed(harray, monkeypatch, typed, completed):
    monkeypatch.setenv("_HARRAY_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", typed)
    monkeypatch.setenv("COMP_CWORD", str(typed.count(" ")))
    assert harray().out.split() == completed


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_that_makes_a_shell_complete_is_printed(harray, monkeypatch, shell):
    monkeypatch.setenv("_HARRAY_COMPLETE", f"source_{shell}")
    assert "_HARRAY_COMPLETE" in harray().out
