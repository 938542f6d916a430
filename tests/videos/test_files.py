"""Files and what only looks like one; a real S3 server on this machine."""

import os

import pytest

from harray.errors import InputError
from harray.videos.files import content_digest, local_copy, stamp_of
from harray.videos.frames import read_frames
from harray.videos.sources import list_videos, survey, videos_among
from tests import clusters
from tests.videos.test_frames import write_video


def test_a_stamp_is_size_and_time(tmp_path):
    (tmp_path / "a").write_bytes(b"12345")
    assert stamp_of(str(tmp_path / "a")) == (5, (tmp_path / "a").stat().st_mtime_ns)
    assert stamp_of(str(tmp_path / "b")) is None
    assert stamp_of("no-such-scheme://a/b") is None


def test_equal_bytes_have_equal_digests(tmp_path):
    for name, content in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        (tmp_path / name).write_bytes(content)
    digests = [content_digest(tmp_path / name) for name in "abc"]
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: os.mkfifo(path), "a named pipe, not a video file"),
        (lambda path: path.mkdir(), "a folder, not a video file"),
        (lambda path: path.symlink_to("/dev/zero"), "a device, not a video file"),
        (lambda path: path.symlink_to(path.name), "Too many levels of symbolic links"),
        (lambda path: None, "No such file"),
    ],
)
def test_what_never_ends_or_is_no_file_is_not_opened(tmp_path, make, message):
    make(tmp_path / "a.mp4")
    with pytest.raises(OSError, match=message), local_copy(tmp_path / "a.mp4"):
        pass


def test_a_file_that_may_not_be_read_says_so(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"x")
    (tmp_path / "a.mp4").chmod(0)
    user = os.geteuid()
    if user == 0:  # root may read everything; nobody may not
        os.seteuid(65534)
    try:
        with pytest.raises(PermissionError), local_copy(tmp_path / "a.mp4") as file:
            content_digest(file)
    finally:
        os.seteuid(user)


@pytest.fixture(scope="module")
def bucket(tmp_path_factory):
    """s3://videos on a server of our own, with two classes of one video each."""
    from pyarrow.fs import S3FileSystem

    with pytest.MonkeyPatch.context() as patch, clusters.bucket("videos") as variables:
        for name, value in variables.items():
            patch.setenv(name, value)
        s3 = S3FileSystem(endpoint_override=variables["AWS_ENDPOINT_URL"])
        folder = tmp_path_factory.mktemp("local")
        for label in ("run", "sit"):
            local = write_video(folder / f"{label}.mp4", 5)
            with s3.open_output_stream(f"videos/set/{label}/a {label}.mp4") as stream:
                stream.write(local.read_bytes())
        with s3.open_output_stream("videos/lists/manifest.csv") as stream:
            stream.write(b"path,label\n../set/run/a run.mp4,run\ns3://videos/set/sit/gone.mp4,sit\n")
        yield "s3://videos"


def test_a_remote_folder_is_listed_like_a_local_one(bucket):
    manifest = list_videos(f"{bucket}/set")
    assert manifest.select(["path", "label"]).to_pylist() == [
        {"path": f"{bucket}/set/run/a run.mp4", "label": "run"},
        {"path": f"{bucket}/set/sit/a sit.mp4", "label": "sit"},
    ]


def test_a_remote_folder_obeys_the_rules_of_a_local_one(bucket):
    from pyarrow.fs import S3FileSystem

    s3 = S3FileSystem(endpoint_override=os.environ["AWS_ENDPOINT_URL"])
    for name in (
        "Train/run/a.M2TS",
        "valid/run/b.gif",
        "valid/run/c.txt",
        "__MACOSX/run/a.mp4",
        "notes/d.pdf",
    ):
        with s3.open_output_stream(f"videos/parts/{name}") as stream:
            stream.write(b"x")
    listing = survey(f"{bucket}/parts/")
    assert listing.manifest.select(["path", "label", "splits"]).to_pylist() == [
        {"path": f"{bucket}/parts/Train/run/a.M2TS", "label": "run", "splits": ["train"]},
        {"path": f"{bucket}/parts/valid/run/b.gif", "label": "run", "splits": ["val"]},
    ]
    assert listing.counts()["left_out"] == {".pdf": 1, ".txt": 1, "hidden": 1}
    assert (listing.left_out["hidden"], listing.without_videos) == (["__MACOSX/"], ["notes"])


def test_videos_are_named_by_path_or_uri_alone_or_by_their_folder(bucket, tmp_path):
    run, sit = f"{bucket}/set/run/a run.mp4", f"{bucket}/set/sit/a sit.mp4"
    (tmp_path / "b").mkdir()
    for name in ("a.txt", "c.mp4", "b/d.mp4"):
        (tmp_path / name).touch()
    here = [str(tmp_path / "b" / "d.mp4"), str(tmp_path / "c.mp4")]
    assert videos_among([sit, f"{bucket}/set", str(tmp_path)]) == [sit, run, sit, *here]
    for absent in (f"{bucket}/gone.mp4", str(tmp_path / "gone.mp4")):
        with pytest.raises(InputError, match=f"{absent}: no such file or folder"):
            videos_among([absent])
    with pytest.raises(InputError, match="no videos in it"):
        videos_among([f"{bucket}/lists"])


def test_a_remote_csv_names_files_beside_it_or_anywhere(bucket):
    manifest = list_videos(f"{bucket}/lists/manifest.csv")
    assert manifest["path"].to_pylist() == [f"{bucket}/set/run/a run.mp4", f"{bucket}/set/sit/gone.mp4"]
    assert list_videos(f"{bucket}/lists")["path"].to_pylist() == manifest["path"].to_pylist()


def test_a_remote_video_is_read_through_a_copy_that_goes_away(bucket):
    with local_copy(f"{bucket}/set/run/a run.mp4") as copy:
        assert read_frames(copy, 5).num_source_frames == 5
    assert not copy.exists()
    stamp = stamp_of(f"{bucket}/set/run/a run.mp4")
    assert stamp is not None
    assert stamp[0] > 0
    assert stamp_of(f"{bucket}/set/gone.mp4") is None
    with pytest.raises(OSError, match="gone"), local_copy(f"{bucket}/set/gone.mp4"):
        pass


@pytest.mark.parametrize("source", ["s3://nowhere-at-all/x", "odd://a/b"])
def test_a_remote_source_that_is_not_there_is_refused(bucket, source):
    with pytest.raises(InputError, match=source):
        list_videos(source)
