"""Which picture is meant: of several streams, by the display matrix, by the shape of a pixel, and how large."""

from fractions import Fraction

import av
import numpy as np
import pytest
from av.stream import Disposition

from harray.videos.decoding import VideoError
from harray.videos.frames import read_frames
from harray.videos.picture import Needed, square_size, turn_of
from tests.videos.films import HEIGHT, WIDTH, film_frames, square_xy, write_film

FILM = film_frames(20)


@pytest.fixture(scope="module")
def upright_xy(tmp_path_factory):
    frames = read_frames(write_film(tmp_path_factory.mktemp("upright") / "a.mp4", FILM), 8)
    return square_xy(frames.rgb_THWC, HEIGHT, WIDTH)


def xy_of(path, num_frames=8, **how):
    frames = read_frames(path, num_frames, **how)
    assert (frames.height_px, frames.width_px) == (HEIGHT, WIDTH)
    return square_xy(frames.rgb_THWC, frames.height_px, frames.width_px)


def shown(image, degrees, hflip, vflip):
    """What a player makes of a stored picture: turned counterclockwise, then mirrored."""
    turned = np.rot90(image, k=degrees // 90)
    return turned[:: -1 if vflip else 1, :: -1 if hflip else 1]


@pytest.mark.parametrize("container", ["mp4", "mov", "matroska"])
@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
@pytest.mark.parametrize(("hflip", "vflip"), [(False, False), (True, False), (False, True)])
def test_turned_and_mirrored_films_are_shown_upright(tmp_path, upright_xy, container, degrees, hflip, vflip):
    if container == "matroska" and (hflip or vflip):
        pytest.skip("the muxer keeps turns only")
    undo = next(  # of the eight orientations, the one that leads back
        (d, h, v)
        for d in (0, 90, 180, 270)
        for h in (False, True)
        for v in (False, True)
        if np.array_equal(shown(shown(FILM[0], d, h, v), degrees, hflip, vflip), FILM[0])
    )
    stored = [shown(image, *undo) for image in FILM]
    path = write_film(tmp_path / "a", stored, container=container, rotation=(degrees, hflip, vflip))
    assert np.abs(xy_of(path) - upright_xy).max() < 1


@pytest.mark.parametrize(
    ("aspect", "stored_hw", "rotation"),
    [
        (Fraction(2), (HEIGHT, WIDTH // 2), None),
        (Fraction(1, 2), (HEIGHT // 2, WIDTH), None),
        (Fraction(64, 45), (HEIGHT, 112), None),  # PAL, wide: 1.42 * 112 = 159
        (Fraction(16, 11), (HEIGHT, 110), None),
        (Fraction(3, 4), (HEIGHT * 3 // 4, WIDTH), None),
        (Fraction(2), (WIDTH, HEIGHT // 2), 90),  # stretched first, then turned
        (Fraction(1), (HEIGHT, WIDTH), None),
    ],
)
@pytest.mark.parametrize("container", ["mp4", "matroska", "mpegts"])
def test_pixels_that_are_not_square_are_stretched(
    tmp_path, upright_xy, container, aspect, stored_hw, rotation
):
    import cv2

    if rotation and container == "mpegts":
        pytest.skip("holds no display matrix")
    turned = [np.rot90(image, k=-1) for image in FILM] if rotation else FILM
    stored = [
        cv2.resize(np.ascontiguousarray(image), stored_hw[::-1], interpolation=cv2.INTER_AREA)
        for image in turned
    ]
    path = write_film(
        tmp_path / "a",
        stored,
        container=container,
        aspect=aspect,
        rotation=rotation and (rotation, False, False),
        codec_options={"crf": "10"},
    )
    frames = read_frames(path, 8)
    assert abs(frames.height_px - HEIGHT) <= 1
    assert abs(frames.width_px - WIDTH) <= 1
    found_xy = square_xy(frames.rgb_THWC, frames.height_px, frames.width_px)
    assert np.abs(found_xy - upright_xy).max() < 3


@pytest.mark.parametrize(
    ("aspect", "expected_hw"),
    [
        (None, (576, 720)),
        (Fraction(16, 15), (576, 768)),
        (Fraction(64, 45), (576, 1024)),
        (Fraction(8, 9), (648, 720)),
        (Fraction(1, 50), (576, 720)),  # a fault of the file
        (Fraction(0), (576, 720)),
    ],
)
def test_one_side_is_stretched_and_none_shrunk(aspect, expected_hw):
    assert square_size(576, 720, aspect) == expected_hw


@pytest.mark.parametrize(
    ("matrix", "expected"),  # where FFmpeg's documentation shows a picture of two rows [[0, 1], [2, 3]]
    [
        ([1, 0, 0, 0, 1, 0, 0, 0, 1], [[0, 1], [2, 3]]),
        ([-1, 0, 0, 0, 1, 0, 0, 0, 1], [[1, 0], [3, 2]]),
        ([1, 0, 0, 0, -1, 0, 0, 0, 1], [[2, 3], [0, 1]]),
        ([0, 1, 0, -1, 0, 0, 0, 0, 1], [[2, 0], [3, 1]]),  # (p, q) to (-q, p): clockwise
        ([0, -1, 0, 1, 0, 0, 0, 0, 1], [[1, 3], [0, 2]]),
        ([0, 1, 0, 1, 0, 0, 0, 0, 1], [[0, 2], [1, 3]]),
        ([9, 2, 0, -2, 9, 0, 0, 0, 1], [[0, 1], [2, 3]]),  # a few degrees are none
    ],
)
def test_a_display_matrix_says_where_each_corner_goes(matrix, expected):
    turned = turn_of(np.array(matrix))(np.arange(4).reshape(2, 2, 1))
    assert turned[..., 0].tolist() == expected


def cover(codec, disposition, height=600, width=600):
    """A still picture as the first stream, larger than the film."""

    def prepare(output):
        stream = output.add_stream(codec, rate=1)
        stream.height, stream.width = height, width
        stream.pix_fmt = {"mjpeg": "yuvj420p", "png": "rgb24"}[codec]
        stream.disposition = disposition

        def begin():
            image = np.full((height, width, 3), 90, np.uint8)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            output.mux(stream.encode(None))

        return begin

    return prepare


def other_film(disposition, height, width):
    """A grey film as the first stream."""

    def prepare(output):
        stream = output.add_stream("mpeg4", rate=25)
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        stream.disposition = disposition

        def begin():
            for _ in range(len(FILM)):
                image = np.full((height, width, 3), 90, np.uint8)
                output.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            output.mux(stream.encode(None))

        return begin

    return prepare


NOTHING = Disposition(0)


@pytest.mark.parametrize(
    ("container", "prepare"),
    [
        ("mp4", cover("mjpeg", Disposition.attached_pic)),
        ("mp4", cover("png", Disposition.attached_pic)),
        ("matroska", cover("mjpeg", Disposition.attached_pic)),
        ("matroska", cover("mjpeg", NOTHING)),  # a picture by what it holds, not by its mark
        ("asf", cover("mjpeg", Disposition.attached_pic)),
        ("asf", cover("mjpeg", NOTHING)),
        ("avi", cover("mjpeg", NOTHING)),
        ("mpegts", other_film(NOTHING, 64, 64)),  # the larger of two
        ("matroska", other_film(NOTHING, 64, 64)),
    ],
)
def test_of_several_streams_the_film_is_read(tmp_path, upright_xy, container, prepare):
    path = write_film(tmp_path / "a", FILM, container=container, prepare=prepare)
    assert np.abs(xy_of(path) - upright_xy).max() < 1


def test_the_stream_that_is_marked_as_default_is_read_before_a_larger_one(tmp_path):
    path = write_film(tmp_path / "a.mkv", FILM, prepare=other_film(Disposition.default, 64, 96))
    frames = read_frames(path, 4)
    assert (frames.height_px, frames.width_px) == (64, 96)


def test_a_cover_alone_is_no_film(tmp_path):
    with av.open(str(tmp_path / "a.mp4"), "w") as output:
        begin = cover("mjpeg", Disposition.attached_pic)(output)
        sound = output.add_stream("aac", rate=8000)
        begin()
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        output.mux(sound.encode(frame))
        output.mux(sound.encode(None))
    with pytest.raises(VideoError, match="only pictures, such as a cover") as error:
        read_frames(tmp_path / "a.mp4", 4)
    assert error.value.stage == "open"


@pytest.mark.parametrize(
    "name", ["12:30:01.mp4", "http:a.mp4", "a?b#c%20.mp4", "concat:a|b.mp4", "ä ü.mp4", "-i.mp4"]
)
def test_a_path_is_a_file_whatever_its_name(tmp_path, monkeypatch, name):
    write_film(tmp_path / "a.mp4", FILM).rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert read_frames(name, 4).num_source_frames == len(FILM)


@pytest.mark.parametrize(
    ("hw", "needed", "expected_hw"),
    [
        ((2160, 3840), (640, 224), (360, 640)),
        ((3840, 2160), (640, 224), (640, 360)),
        ((4320, 7680), (320, 224), (224, 398)),  # the shorter side must not fall below what scenes need
        ((240, 320), (640, 224), (240, 320)),  # never enlarged
        ((1080, 1920), (640, 0), (360, 640)),
        ((100, 4000), (640, 224), (100, 4000)),
    ],
)
def test_pictures_are_shrunk_to_what_is_needed(hw, needed, expected_hw):
    assert Needed(long_px=needed[0], short_px=needed[1]).shrunk(*hw) == expected_hw


def test_a_shrunk_film_says_where_things_are_in_the_video_itself(tmp_path, upright_xy):
    path = write_film(tmp_path / "a.mp4", FILM)
    assert read_frames(path, 8, needed=Needed(long_px=80, short_px=0)).rgb_THWC.shape[1:3] == (60, 80)
    assert np.abs(xy_of(path, needed=Needed(long_px=80, short_px=0)) - upright_xy).max() < 1
    stored = [np.rot90(image, k=-1) for image in FILM]
    turned = write_film(tmp_path / "b.mp4", stored, rotation=(90, False, False))
    assert read_frames(turned, 8, needed=Needed(long_px=80, short_px=0)).rgb_THWC.shape[1:3] == (60, 80)
    assert np.abs(xy_of(turned, needed=Needed(long_px=80, short_px=0)) - upright_xy).max() < 1
