"""Segments: files that name them, manifest columns, and frames of a span alone."""

import json

import numpy as np
import pytest

from harray.errors import InputError
from harray.extraction.reader import VideoReading
from harray.videos.config import VideosConfig
from harray.videos.decoding import Video, VideoError
from harray.videos.frames import segment_frames
from harray.videos.segment_files import read_segments
from harray.videos.segments import part_of, segment_path
from harray.videos.sources import Beside, survey
from tests.videos.films import film_frames, write_film
from tests.videos.test_frames import write_video

# path below formats/, number of segments, first start and end, its label
REAL = [
    ("activitynet_segments/*/gt.json", 4, (11.554, 57.068), "Wakeboarding"),
    ("activitynet_segments/*/result.json", 14, (0.0, 206.347), "Wakeboarding"),
    ("charades/*/*test_200.csv", 1834, (12.1, 18.0), "c077"),
    ("boris/*/e3v*.csv", 10, (29.85, 34.725), "interact"),
    ("boris/*/test*.csv", 3, (9.955, 11.256), "mm"),
    ("elan/*/t.eaf", 58, None, None),
    ("elan/*/fto.eaf", 9, None, None),
    ("label_studio/*/*.json", 5, (2907 / 25, 3025 / 25), "Femoral vein"),
    ("kinetics_lists/*/test.csv", 3, (0.0, 2.0), "label_0"),
    ("kinetics_lists/*/train.json", 1, (0.0, 2.0), "label_2"),
    ("mmaction2_lists/*/action_test_anno.json", None, (0.3, 0.6), "Rock climbing"),
]


@pytest.mark.parametrize(("pattern", "count", "span", "label"), REAL, ids=[each[0] for each in REAL])
def test_real_files_of_segments(shared_data, pattern, count, span, label):
    file = read_segments(next((shared_data / "formats").glob(pattern)), fps=25)
    assert count in (None, len(file.segments))
    first = file.segments[0]
    if span is not None:
        assert (first.start, first.end, first.label) == (
            pytest.approx(span[0], abs=1e-3),
            pytest.approx(span[1], abs=1e-3),
            label,
        )


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("via/*/*.txt", "no header that is known"),
        ("charades/*/*mini.csv", "a spreadsheet broke the file"),
        ("label_studio/*/*.json", "--frame-rate"),
        ("jester/*/*labels.csv", "no header that is known"),
    ],
)
def test_real_files_that_are_none(shared_data, pattern, words):
    with pytest.raises(InputError, match=words):
        read_segments(next((shared_data / "formats").glob(pattern)))


def test_nested_segments_of_boris_are_paired_by_behaviour(shared_data):
    file = read_segments(next((shared_data / "formats").glob("boris/*/test*.csv")))
    assert [(each.label, each.start, each.end) for each in file.segments] == [
        ("mm", 9.955, 11.256),
        ("mm", 26.605, 31.705),
        ("aa", 28.205, 30.63),
    ]


def test_charades_says_what_has_no_action_and_what_ends_too_late(shared_data):
    said = " / ".join(read_segments(next((shared_data / "formats").glob("charades/*/*200.csv"))).said)
    assert "8 videos without an action" in said
    assert "584 segments end after" in said


VIA = {
    "file": {"1": {"fid": "1", "fname": "a.mp4"}},
    "view": {"1": {"fid_list": ["1"]}},
    "attribute": {"1": {"options": {"0": "run", "1": "sit"}}},
    "metadata": {
        "x": {"vid": "1", "z": [1.0, 2.5], "xy": [], "av": {"1": "0"}},
        "y": {"vid": "1", "z": [3.0], "xy": [2, 1, 1, 5, 5], "av": {"1": "1"}},
    },
}
ACTIVITYNET = {
    "database": {"a": {"subset": "training", "annotations": [{"segment": [1.0, 2.5], "label": "run"}]}}
}
STUDIO = [
    {
        "data": {"video": "/data/upload/1/01234567-a.mp4"},
        "annotations": [
            {
                "result": [
                    {
                        "type": "timelinelabels",
                        "value": {"ranges": [{"start": 26, "end": 62}], "timelinelabels": ["run"]},
                    }
                ]
            }
        ],
    }
]
EAF = """<?xml version="1.0"?><ANNOTATION_DOCUMENT><HEADER><MEDIA_DESCRIPTOR MEDIA_URL="file:///x/a.mp4"/></HEADER>
<TIME_ORDER><TIME_SLOT TIME_SLOT_ID="t2" TIME_VALUE="2500"/>
<TIME_SLOT TIME_SLOT_ID="t1" TIME_VALUE="1000"/></TIME_ORDER>
<TIER TIER_ID="acts"><ANNOTATION><ALIGNABLE_ANNOTATION TIME_SLOT_REF1="t1" TIME_SLOT_REF2="t2">
<ANNOTATION_VALUE>run</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION></TIER></ANNOTATION_DOCUMENT>"""
BORIS = "Observation id,x\n\nTime,Media file path,Behavior,Status\n1.0,/x/a.mp4,run,START\n2.5,/x/a.mp4,run,STOP\n"
VIA_CSV = """# Exported using VGG Image Annotator (http://www.robots.ox.ac.uk/~vgg/software/via)
# ATTRIBUTE = {"1":{"aname":"act","options":{"0":"run","1":"sit"}}}
# CSV_HEADER = metadata_id,file_list,flags,temporal_coordinates,spatial_coordinates,metadata
"1_x","[""a.mp4""]",0,"[1.0,2.5]","[]","{""1"":""0""}"
"1_y","[""a.mp4""]",0,"[3.0]","[2,1,1,5,5]","{""1"":""1""}"
"""
VIA_SEGMENTS = """# Exported using VGG Image Annotator (http://www.robots.ox.ac.uk/~vgg/software/via)
# CSV_HEADER = metadata_id,file_list,temporal_segment_start,temporal_segment_end,metadata
"1_x","[""a.mp4""]",1.0,2.5,"{""TEMPORAL-SEGMENTS"":""run""}"
"""
FILES = {
    "via.csv": VIA_CSV,
    "via_segments.csv": VIA_SEGMENTS,
    "via.json": json.dumps(VIA),
    "activitynet.json": json.dumps(ACTIVITYNET),
    "studio.json": json.dumps(STUDIO),
    "min.json": json.dumps(
        [{"video": "a.mp4", "tl": [{"ranges": [{"start": 26, "end": 62}], "timelinelabels": ["run"]}]}]
    ),
    "elan.eaf": EAF,
    "boris.csv": BORIS,
    "plain.csv": "video,start,end,label\na.mp4,1.0,0:00:02.5,run\n",
    "charades.csv": "id,actions,length\na,run 1 2,3\n".replace("run 1 2", "c001 1.0 2.5"),
}


@pytest.mark.parametrize(("name", "text"), FILES.items(), ids=FILES)
def test_a_segment_of_a_video_is_a_row_whose_path_says_its_span(tmp_path, name, text):
    (tmp_path / "videos" / "deep").mkdir(parents=True)
    for video in ("deep/a.mp4", "b.mp4"):
        (tmp_path / "videos" / video).touch()
    (tmp_path / name).write_text(text)
    listing = survey(tmp_path / "videos", beside=Beside(segments=tmp_path / name, fps=25))
    [row] = listing.manifest.to_pylist()
    assert (
        row["path"]
        == f"{tmp_path}/videos/deep/a.mp4#t=1,{'2.48' if name in ('studio.json', 'min.json') else '2.5'}"
    )
    assert (row["label"], row["group"]) == ("c001" if name == "charades.csv" else "run", "deep/a")
    assert row["splits"] == (["train"] if name == "activitynet.json" else [])
    assert listing.left_out["without a segment"] == ["b.mp4"]


def test_columns_start_and_end_of_a_manifest(tmp_path):
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).touch()
    path = tmp_path / "manifest.csv"
    path.write_text(
        "path,label,start,end,split\na.mp4,run,1,2.5,train\na.mp4,sit,3,4,train\nb.mp4,run,,,test\n"
    )
    rows = survey(path).manifest.to_pylist()
    names = [row["path"].rpartition("/")[2] for row in rows]
    assert names == ["a.mp4#t=1,2.5", "a.mp4#t=3,4", "b.mp4"]
    assert [row["group"] for row in rows] == ["a", "a", None]
    path.write_text("path,label,start,end,split\na.mp4,run,1,2.5,train\na.mp4,sit,3,4,test\n")
    with pytest.raises(InputError, match="in several splits"):
        survey(path)


@pytest.mark.parametrize("times", ["3,2", "x,2", "-1,2", "1,"])
def test_times_that_are_none_are_refused_by_their_line(tmp_path, times):
    (tmp_path / "a.mp4").touch()
    (tmp_path / "m.csv").write_text(f"path,label,start,end\na.mp4,run,{times}\n")
    with pytest.raises(InputError, match=r"m\.csv:2"):
        survey(tmp_path / "m.csv")


def test_only_the_frames_of_a_span_are_taken(tmp_path):
    path = write_video(tmp_path / "a.mp4", 60)
    frames = segment_frames(Video(path), 5, (1.0, 2.0))
    assert frames.index_T.tolist() == [25, 31, 37, 43, 49]
    np.testing.assert_allclose(frames.time_sec_T[[0, -1]], [1.0, 1.96])
    video = Video(path)
    assert segment_frames(video, 3, (2.0, 9.0)).index_T[-1] == 59
    assert "segment" in video.notes
    with pytest.raises(VideoError, match="begins at 5 s"):
        segment_frames(Video(path), 3, (5.0, 6.0))


@pytest.mark.parametrize("container", ["mp4", "mkv", "ts", "avi"])
def test_frames_of_a_late_span_are_those_that_decoding_from_the_start_gives(tmp_path, container):
    frames = film_frames(200)
    codec = {"avi": "mpeg4"}.get(container, "libx264")
    path = write_film(tmp_path / f"a.{container}", frames, codec=codec, codec_options={"g": "24", "bf": "3"})
    video = Video(path)
    found = segment_frames(video, 6, (5.0, 6.0))
    assert (found.index_T[0], found.index_T[-1]) == (125, 149)
    every = [decoded.frame.to_ndarray(format="rgb24") for decoded in video.frames()]
    for index, rgb in zip(found.index_T, found.rgb_THWC, strict=True):
        assert np.abs(rgb.astype(int) - every[index]).mean() < 3


def test_a_segment_is_a_clip_of_its_own_identity(tmp_path):
    path = write_video(tmp_path / "a.mp4", 60)
    found = {}
    for name in (str(path), segment_path(str(path), 1, 2), segment_path(str(path), 0.2, 1)):
        reading = VideoReading(name, VideosConfig(num_frames=4), "settings", lambda clip_id: False)
        identity = reading.identity()
        [clip] = reading.clips()
        found[identity.clip_id] = clip.frames.index_T[[0, -1]].tolist()
        assert identity.stamp == (path.stat().st_size, path.stat().st_mtime_ns)
    assert list(found.values()) == [[0, 59], [25, 49], [5, 24]]


def test_a_path_that_only_looks_like_a_segment_stands_for_itself(tmp_path):
    odd = tmp_path / "a.mp4#t=1,2"
    odd.touch()
    assert part_of(str(odd)).span is None
    assert part_of("b.mp4#t=1,2").span == (1.0, 2.0)
    assert part_of("frames#fps=12.5#t=1,2") == ("frames", (1.0, 2.0), 12.5)
