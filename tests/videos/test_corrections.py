"""Csv files that drop or relabel videos of a manifest."""

import pytest

from harray.errors import InputError
from harray.videos.corrections import Corrections
from harray.videos.listing import manifest_table

ROWS = [{"path": f"/v/{name}.mp4", "label": "run", "splits": ["train"]} for name in "abc"]


def test_dropped_and_relabelled_videos(tmp_path):
    drop, relabel = tmp_path / "drop.csv", tmp_path / "relabel.csv"
    drop.write_text("path,reason\n/v/a.mp4,nobody is seen\n/v/z.mp4,gone\n")
    relabel.write_text("path,label,reason\n/v/b.mp4,sit,looks so\n/v/a.mp4,sit,dropped all the same\n")
    manifest, said = Corrections.read(drop, relabel).applied(manifest_table(ROWS))
    assert manifest.select(["path", "label"]).to_pylist() == [
        {"path": "/v/b.mp4", "label": "sit"},
        {"path": "/v/c.mp4", "label": "run"},
    ]
    assert said == "1 videos dropped; 1 relabelled; 1 paths are not among the videos, such as /v/z.mp4"


def test_without_corrections_nothing_is_said():
    manifest, said = Corrections.read(None, None).applied(manifest_table(ROWS))
    assert len(manifest) == 3 and said == ""


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("file,label\na,b\n", "no column path; expected the columns path,label"),
        ("path,label\n/v/a.mp4,\n", "relabel.csv:2: an empty field; every line needs path and label"),
    ],
)
def test_a_file_that_cannot_be_right_is_refused(tmp_path, text, line):
    (tmp_path / "relabel.csv").write_text(text)
    with pytest.raises(InputError, match=line):
        Corrections.read(None, tmp_path / "relabel.csv")
    with pytest.raises(InputError, match="cannot be read as csv"):
        Corrections.read(tmp_path / "absent.csv", None)
