"""One film of 3 seconds, written by every muxer of PyAV that writes video: what is read from it is the same in all,
or it is refused with its reason, or what differs is said."""

import contextlib

import av
import numpy as np
import pytest
from av.format import ContainerFormat, formats_available

from harray.videos.decoding import Video, VideoError
from harray.videos.frames import uniform_frames
from tests.videos.films import film_frames, square_xy, write_film

CODECS = (
    *(
        "libx264",
        "mpeg4",
        "mpeg2video",
        "mpeg1video",
        "mjpeg",
        "libvpx",
        "flv",
        "gif",
        "apng",
        "rv20",
        "roqvideo",
    ),
    *("amv", "libwebp_anim", "rawvideo"),
)
FAST = {"libvpx": {"deadline": "realtime", "cpu-used": "8", "threads": "1"}}
NUM_CODECS = 2  # that are tried of those that a muxer takes
NOT_FILES = (  # they write to devices and networks, several files, or checksums
    *(
        "alsa",
        "oss",
        "fbdev",
        "video4linux2,v4l2",
        "rtp",
        "rtsp",
        "rtp_mpegts",
        "sap",
        "whip",
        "null",
        "tee",
        "fifo",
    ),
    *(
        "smoothstreaming",
        "hds",
        "dash",
        "hls",
        "image2",
        "segment",
        "stream_segment,ssegment",
        "webm_chunk",
        "crc",
    ),
    *("framecrc", "framehash", "framemd5", "hash", "md5", "streamhash", "uncodedframecrc", "mkvtimestamp_v2"),
    *("ffmetadata", "webm_dash_manifest"),
)
READ = {  # the muxers whose films must be read, whatever else there is
    *(
        "mp4",
        "mov",
        "matroska",
        "webm",
        "avi",
        "mpegts",
        "flv",
        "asf",
        "mpeg",
        "vob",
        "dvd",
        "gif",
        "3gp",
        "f4v",
        "ogv",
    ),
    *(
        "ipod",
        "ismv",
        "ivf",
        "mxf",
        "nut",
        "wtv",
        "apng",
        "swf",
        "rm",
        "yuv4mpegpipe",
        "h264",
        "m4v",
        "mpeg2video",
    ),
}


def video_muxers():
    for name in sorted(formats_available - set(NOT_FILES)):
        try:
            if ContainerFormat(name, "w").is_output:
                yield name
        except ValueError:  # it only reads
            continue


def written(folder, muxer, rate):
    """Paths of the film by this muxer, with the first codecs that it takes."""
    num_written = 0
    for codec in CODECS:
        path = folder / f"{muxer}-{codec}"
        try:
            write_film(
                path,
                film_frames(3 * rate),
                codec=codec,
                container=muxer,
                rate=rate,
                codec_options=FAST.get(codec),
            )
        except (av.FFmpegError, ValueError, OSError):
            continue
        if path.stat().st_size:
            yield path
            num_written += 1
        if num_written == NUM_CODECS:
            return


@pytest.mark.parametrize("muxer", video_muxers())
def test_a_film_is_the_same_in_every_container_or_what_differs_is_said(muxer, tmp_path):
    rate, num_read = 30, 0
    number_N = np.floor(np.linspace(0, 3 * rate - 1, 32) + 0.5)
    film = film_frames(3 * rate)
    expected_xy = square_xy(np.stack([film[int(number)] for number in number_N]), 120, 160)
    for path in written(tmp_path, muxer, rate):
        video = Video(path)
        with contextlib.suppress(VideoError):  # refused with its reason
            frames = uniform_frames(video, 32)
            num_read += 1
            found_xy = square_xy(frames.rgb_THWC, frames.height_px, frames.width_px)
            assert np.abs(found_xy - expected_xy).max() < 1, path.name
            has_its_times = np.abs(frames.time_sec_T - number_N / rate).max() < 0.002
            assert has_its_times or "no times" in video.notes, path.name
            assert not video.notes or muxer not in READ or set(video.notes) == {"no times"}
    assert num_read or muxer not in READ
