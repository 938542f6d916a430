"""What goes over a socket, byte by byte."""

import json
import pickle
import struct

import cv2
import numpy as np
import pytest

from harray.serving.protocol import Malformed, decode_jpeg, jpeg_size, pack_frame, parse_frame, parse_text


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
