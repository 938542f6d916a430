"""A csv is read as it says, or refused by the number of the line."""

import unicodedata

import pytest

from harray.errors import InputError
from harray.videos.sources import survey


@pytest.fixture
def read(tmp_path):
    """Write a csv, give its listing."""

    def make(text):
        file = tmp_path / "list.csv"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return survey(file)

    return make


def rows_of(listing, root):
    return [
        (row["path"].removeprefix(f"{root}/"), row["label"], row["group"], row["splits"])
        for row in listing.manifest.to_pylist()
    ]


A = ("a.mp4", "run", None, [])
READ = {
    "plain": ("path,label\na.mp4,run\n", [A]),
    "columns in another order": ("label,path\nrun,a.mp4\n", [A]),
    "columns in capitals and with blanks": (
        "Path, LABEL ,Group\na.mp4, run ,g1\n",
        [("a.mp4", "run", "g1", [])],
    ),
    "byte order mark": ("\ufeffpath,label\na.mp4,run\n", [A]),
    "CRLF": ("path,label\r\na.mp4,run\r\n", [A]),
    "CR alone": ("path,label\ra.mp4,run\r", [A]),
    "no line end": ("path,label\na.mp4,run", [A]),
    "blank lines": ("\n\npath,label\n\na.mp4,run\n  \n,\n\n", [A]),
    "semicolons": ("path;label\na.mp4;run, fast\n", [("a.mp4", "run, fast", None, [])]),
    "tabs": ("path\tlabel\tsplit\na.mp4\trun\ttrain;test2\n", [("a.mp4", "run", None, ["train", "test2"])]),
    "semicolons with several splits": (
        'path;label;split\na.mp4;run;"train;test2"\n',
        [("a.mp4", "run", None, ["train", "test2"])],
    ),
    "quoted commas": ('path,label\n"a,1.mp4","jump, high"\n', [("a,1.mp4", "jump, high", None, [])]),
    "quotes after a blank": ('path, label\na.mp4, "jump, high"\n', [("a.mp4", "jump, high", None, [])]),
    "quotes within": ('path,label\n"the ""a"".mp4",run\n', [('the "a".mp4', "run", None, [])]),
    "a name of two lines": ('path,label\n"a\nb.mp4",run\n', [("a\nb.mp4", "run", None, [])]),
    "usual names of splits": (
        "path,label,split\na,r,Training\nb,r,valid\nc,r,TEST\nd,r,xsub\n",
        [
            ("a", "r", None, ["train"]),
            ("b", "r", None, ["val"]),
            ("c", "r", None, ["test"]),
            ("d", "r", None, ["xsub"]),
        ],
    ),
    "accents, composed and not": (
        "path,label\na,cafe\u0301\nb,caf\u00e9\n",
        [("a", "caf\u00e9", None, []), ("b", "caf\u00e9", None, [])],
    ),
    "empty labels": (
        "path,label\na.mp4,\nb.mp4,run\n",
        [("a.mp4", None, None, []), ("b.mp4", "run", None, [])],
    ),
}


@pytest.mark.parametrize(("text", "rows"), READ.values(), ids=READ)
def test_a_csv_is_read(read, tmp_path, text, rows):
    assert rows_of(read(text), tmp_path) == rows


REFUSED = {
    "too many fields": (
        "path,label,split\na.mp4,jump, high,train\n",
        r"list.csv:2: 4 fields for the 3 columns",
    ),
    "too few fields": (
        "path,label,split\n\na.mp4,run,test\nb.mp4,run\n",
        r"list.csv:4: 2 fields for the 3 columns",
    ),
    "a comma at the end": ("path,label\na.mp4,run,\n", r"list.csv:2: 3 fields for the 2 columns"),
    "the line after one of two lines": ('path,label\n"a\nb.mp4",run\nc.mp4\n', r"list.csv:4: 1 fields"),
    "a quote that never ends": ('path,label\na.mp4,run\n"b.mp4,run\nc.mp4,run\n', r"list.csv:3: "),
    "something after a quote": ('path,label\n"a"b.mp4,run\n', r"list.csv:2: "),
    "a column twice": ("path,label,Label\na.mp4,run,walk\n", "columns that stand twice: label"),
    "split and splits": ("path,label,split,splits\na,b,c,d\n", "columns that stand twice: split"),
    "another separator in some lines": ("path,label\na.mp4;run\n", "list.csv:2: 1 fields"),
    "no separator that is known": (
        "path label\na.mp4 run\n",
        r"no column path and label \(found: path label\)",
    ),
    "no header": ("a.mp4,run\nb.mp4,walk\n", r"no column path and label \(found: a.mp4, run\)"),
    "an empty path": ("path,label\n,run\n", "list.csv:2: the path is empty"),
    "two labels": (
        "path,label\na.mp4,run\n./a.mp4,sit\n",
        r"list.csv:3: ./a.mp4 stands here twice .* in line 2",
    ),
    "two splits": ("path,label,split\na,run,train\na,run,test\n", r"list.csv:3: a stands here twice"),
    "parts of videos": (
        "path,label,start\na.mp4,run,0\na.mp4,run,3\n",
        "a column start alone",
    ),
    "val and dev": (
        "path,label,split\na,run,val\nb,run,dev\n",
        "dev and val both usually mean the split val",
    ),
    "not UTF-8": ("path,label\na.mp4,caf\u00e9\n".encode("latin-1"), "not a csv text file in UTF-8"),
    "UTF-16": ("path,label\na.mp4,run\n".encode("utf-16"), "not a csv text file in UTF-8"),
    "no lines": ("path,label\n,\n", "no videos in it"),
}


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED)
def test_a_csv_that_is_not_what_its_header_says_is_refused_in_one_line(read, text, message):
    with pytest.raises(InputError, match=message) as error:
        read(text)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "note"),
    [
        (
            "path,label,fps\n/dev/null,run,25\n",
            "columns that are not read: fps; known are path, label, group, split",
        ),
        (
            "path,label,goup,\n/dev/null,run,g1,\n",
            "columns that are not read: goup, one without a name; known",
        ),
        ("path,label,split\n/dev/null,run,valid\n", "splits under their usual names: valid is val"),
        (
            "path,label\n/dev/null,run\n/nowhere/a.mp4,run\n",
            "1 of 2 videos are not there, such as /nowhere/a.mp4",
        ),
        ("path,label\n/dev/null,run\n/dev/null,run\n", "1 lines say again what another one says"),
        (
            "path,label\n/dev/null,Run\n/dev/zero,run\n",
            "classes that differ by case or blanks only: Run and run",
        ),
    ],
)
def test_what_of_a_csv_is_not_as_one_might_think_is_said(read, text, note):
    [said] = read(text).all_notes()
    assert said.startswith(note)


def test_lines_without_a_class_or_split_are_counted(read):
    lines = read("path,label,group,split\na,run,g1,train\nb,,g1,\nc,walk,,test\n").lines()
    assert lines[:4] == [
        "found 3 videos, read as list.csv",
        "2 classes: run (1), walk (1); 1 without a class",
        "2 splits: test (1), train (1); 1 without a split",
        "1 group: g1 (2)",
    ]


@pytest.mark.parametrize(("on_disk", "in_csv"), [("NFD", "NFC"), ("NFC", "NFD"), ("NFD", "NFD")])
def test_a_path_with_accents_is_found_however_they_are_written(read, tmp_path, on_disk, in_csv):
    name = "caf\u00e9/b\u00fcrste.mp4"
    there = tmp_path / unicodedata.normalize(on_disk, name)
    there.parent.mkdir()
    there.touch()
    listing = read(f"path,label\n{unicodedata.normalize(in_csv, name)},run\n")
    assert (listing.manifest["path"].to_pylist(), listing.all_notes()) == ([str(there)], [])
