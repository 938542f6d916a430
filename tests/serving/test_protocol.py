"""What goes over a socket, byte by byte."""

import json
import pickle
import struct

import cv2
import numpy as np
import pytest

from harray.serving.protocol import (
    HEADER,
    Malformed,
    decode_jpeg,
    jpeg_size,
    pack_frame,
    pack_poses,
    parse_frame,
    parse_text,
)


def jpeg(height: int, width: int) -> bytes:
    picture = np.full((height, width, 3), (10, 60, 200), np.uint8)  # blue, green, red
    return cv2.imencode(".jpg", picture)[1].tobytes()


def test_a_frame_is_sixteen_bytes_and_a_jpeg():
    message = pack_frame(1234.5, 7, b"picture")
    assert message == struct.pack("<d", 1234.5) + b"\x07\0\0\0" + b"\0\0\0\0" + b"picture"
    frame = parse_frame(message, 100)
    assert (frame.captured_ms, frame.num_read, frame.jpeg) == (1234.5, 7, b"picture")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "short"),
        (b"x" * 16, "short"),
        (pack_frame(0, 0, b"x" * 101), "large"),
        (pack_frame(float("nan"), 0, b"x"), "time"),
        (pack_frame(float("inf"), 0, b"x"), "time"),
        (pack_frame(-1, 0, b"x"), "time"),
    ],
)
def test_a_frame_that_is_none_is_told_by_a_code(data, code):
    with pytest.raises(Malformed) as found:
        parse_frame(data, 100)
    assert found.value.code == code
    assert found.value.answer()["type"] == "error"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "json"),
        ("no json", "json"),
        ("[" * 4000, "json"),
        ('"hello"', "type"),
        ('{"type": "goodbye"}', "type"),
        ('{"type": "hello", "attention": 1}', "attention"),
        ('{"type": "hello", "token": 5}', "token"),
        ('{"type": "hello", "token": "' + "x" * 5000 + '"}', "large"),
    ],
)
def test_a_text_that_is_none_is_told_by_a_code(text, code):
    with pytest.raises(Malformed) as found:
        parse_text(text)
    assert found.value.code == code


def test_settings_are_taken_as_they_are():
    said = {"type": "settings", "attention": True}
    assert parse_text(json.dumps(said)) == said


def test_a_jpeg_becomes_red_green_blue():
    image = decode_jpeg(jpeg(24, 40), 100)
    assert image.shape == (24, 40, 3)
    assert image[12, 20].tolist() == pytest.approx([200, 60, 10], abs=6)


def test_the_size_is_read_without_decoding():
    assert jpeg_size(jpeg(48, 64)) == (48, 64)
    bomb = bytearray(jpeg(48, 64))
    at = bomb.index(b"\xff\xc0")
    bomb[at + 5 : at + 9] = struct.pack(">HH", 60000, 60000)
    with pytest.raises(Malformed, match="60000 x 60000") as found:
        decode_jpeg(bytes(bomb), 1920)
    assert found.value.code == "large"


@pytest.mark.parametrize(
    "data",
    [b"", b"x", b"\xff\xd8", b"\xff\xd8\xff", b"\xff\xd8" + b"\xff" * 50, b"\x89PNG\r\n\x1a\n" + b"0" * 50]
    + [jpeg(48, 64)[:cut] for cut in (2, 5, 20, 100, 170)]
    + [b"\xff\xd8\xff\xe0\x00\x00" + b"\x00" * 30],
)
def test_whatever_is_no_jpeg_is_refused(data):
    with pytest.raises(Malformed) as found:
        decode_jpeg(data, 1920)
    assert found.value.code == "jpeg"


def test_a_refusal_travels_between_processes():
    again = pickle.loads(pickle.dumps(Malformed("jpeg", "found no JPEG")))
    assert (again.code, again.message) == ("jpeg", "found no JPEG")


def test_poses_come_back_as_they_were_packed():
    rows = np.random.default_rng(0).random((3, 56)).astype(np.float32)
    frame = parse_frame(pack_poses(40.0, 2, 240, 320, rows), 100_000)
    assert (frame.captured_ms, frame.num_read, frame.jpeg) == (40.0, 2, b"")
    assert frame.poses is not None and (frame.poses.height_px, frame.poses.width_px) == (240, 320)
    np.testing.assert_array_equal(frame.poses.rows_ND, rows)
    nobody = parse_frame(pack_poses(80.0, 2, 240, 320, rows[:0]), 100_000)
    assert nobody.poses is not None and nobody.poses.rows_ND.shape == (0, 56)


@pytest.mark.parametrize(
    ("height_px", "rows", "cut"),
    [
        (0, np.zeros((1, 56)), 0),  # a frame without a height
        (240, np.zeros((1, 55)), 0),  # rows of another length
        (240, np.zeros((301, 56)), 0),  # too many
        (240, np.zeros((2, 56)), 4),  # fewer bytes than are said
        (240, np.full((1, 56), np.nan), 0),
        (240, np.full((1, 57), np.inf), 0),
    ],
)
def test_poses_that_are_none_are_refused(height_px, rows, cut):
    message = pack_poses(40.0, 0, height_px, 320, rows.astype(np.float32))
    with pytest.raises(Malformed) as refused:
        parse_frame(message[: len(message) - cut], 1 << 20)
    assert refused.value.code == "poses"


def test_poses_without_their_header_are_refused():
    with pytest.raises(Malformed, match="header"):
        parse_frame(HEADER.pack(40.0, 0, 1) + b"abc", 1 << 20)
