"""Names of videos and classes on the command line: taken as files, and printed as they are."""

import io

import pytest
from rich.table import Table

from harray.cli.models import show_entry, told_apart
from harray.cli.terminal import Terminal
from harray.errors import InputError
from harray.videos.files import local_copy, stamp_of
from harray.videos.sources import videos_among

FILES = (
    "12:30:01.mp4",
    "file:x.mp4",
    "a?b#c.mp4",
    "100%20.mp4",
    "ü ß.mp4",
    "-x.mp4",
    "a=b.mp4",
    "take.no=2.mp4",
)


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_any_name_is_a_video_here(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(b"film")
    assert told_apart([name]) == ([name], [])
    assert videos_among([name]) == [name]
    assert stamp_of(name) == stamp_of(str(tmp_path / name))
    with local_copy(name) as file:
        assert file.read_bytes() == b"film"
    with local_copy((tmp_path / name).as_uri()) as copy:
        assert copy.read_bytes() == b"film"


def test_overrides_are_no_videos_and_only_say_where_weights_lie(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert told_apart(["a.mp4", "poses.weights=x.pt"]) == (["a.mp4"], ["poses.weights=x.pt"])
    with pytest.raises(InputError, match=r"^take\.no=2\.mp4: "):
        told_apart(["take.no=2.mp4"])


@pytest.mark.parametrize("label", ["ca$h_$tack", "跑步", "[/bold]", "[red]x[/red]", ":smile:", r"a\[b]"])
def test_class_names_are_printed_as_they_are(label):
    out = io.StringIO()
    terminal = Terminal(out=out)
    evidence = {"verdict": "ok", "num_people_seen": 1, "frames_seen_share": 1.0, "joints_seen_share": 0.5}
    top = [{"label": label, "probability": 0.75}]
    show_entry(terminal, {"video": "[a].mp4", "top": top, **evidence})
    table = Table("", label, box=None)
    table.add_row(label, "1.0")
    terminal.result(table)
    lines = out.getvalue().splitlines()
    assert lines[0] == (f"[a].mp4: {label} 75.0%; seen: 1 person, 100% of the frames, 50% of the joints")
    assert label in lines[1] and label in lines[-1]


def test_a_video_without_its_pictures_is_shown_with_labels_and_reason():
    out = io.StringIO()
    evidence = {"verdict": "unsure", "num_people_seen": 2, "frames_seen_share": 0.5, "joints_seen_share": 0.1}
    top = [{"label": "run", "probability": 0.75}]
    show_entry(Terminal(out=out), {"video": "a.mp4", "top": top, "error": "not explained: x", **evidence})
    show_entry(Terminal(out=out), {"video": "b.mp4", "error": "open: no such file"})
    assert out.getvalue().splitlines() == [
        "a.mp4: unsure, little was seen: run 75.0%; seen: 2 people, 50% of the frames, 10% of the joints",
        "  not explained: x",
        "b.mp4: not predicted (open: no such file)",
    ]
