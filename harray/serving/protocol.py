"""What goes over a socket: JPEG frames and a little JSON up, JSON down.

up      text     {"type": "hello", "token": "...", "attention": false}     first of all
        text     {"type": "settings", "attention": true}
        binary   16 bytes, then a JPEG: float64 capture time in ms on the guest's clock, which never runs backwards;
                 uint32 number of answers and errors read so far; uint32 0 (little endian)
        binary   the same with uint32 1, where hello has `browser_poses`: uint16 height and width of the frame in px,
                 uint16 numbers of a row, uint16 rows; then float32 rows as the pose network puts them out, in its own
                 px, of the boxes that are confident enough
down    hello    model, version, classes, bones, has_scene, sees_pictures, frame_px, limits; again with another version
        answer   of one frame: captured_ms (as it came), server_ms, skipped, version, events, and the stream's view
                 (`harray.live.view`): width_px, height_px, verdict, tracks; scene_attention where it was asked for
        error    code, message: this message was no good, the next may be

A guest has one or two frames on the way. Every frame that is looked at has one answer or error; skipped ones none.
"""

import json
import math
import struct
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

HEADER, POSES_HEADER = struct.Struct("<dII"), struct.Struct("<HHHH")
POSES = 1  # in the header's last place
ROW_LENGTHS = (56, 57)  # of a head without and with nms inside (`harray.poses.nms`)
MAX_ROWS = 300
CLOSED_MALFORMED, CLOSED_TOKEN, CLOSED_ORIGIN, CLOSED_FULL, CLOSED_IDLE = 4400, 4401, 4403, 4429, 4408
TEXT_BYTES = 4096  # longest text message


class Malformed(Exception):
    """A message that cannot be used; `code` is for programs, the text for people."""

    def __init__(self, code: str, message: str):
        super().__init__(code, message)  # both, so that it can travel between processes
        self.code = code
        self.message = message

    def answer(self) -> dict[str, Any]:
        return {"type": "error", "code": self.code, "message": self.message}


@dataclass(frozen=True, kw_only=True)
class PoseRows:
    """What the pose network put out in the guest's browser."""

    height_px: int  # of the frame
    width_px: int
    rows_ND: np.ndarray  # float32, a box each; px of the network's input


@dataclass(frozen=True, kw_only=True)
class FrameMessage:
    """One frame as it came: a JPEG, or what the guest's own pose network saw in it."""

    captured_ms: float
    num_read: int
    jpeg: bytes = b""
    poses: PoseRows | None = None


def pack_frame(captured_ms: float, num_read: int, jpeg: bytes) -> bytes:
    """A frame as a guest sends it."""
    return HEADER.pack(captured_ms, num_read, 0) + jpeg


def parse_frame(data: bytes, max_bytes: int) -> FrameMessage:
    """Take a binary message apart.

    Raises:
        Malformed: too short, too long, or a time that is none.
    """
    if len(data) <= HEADER.size:
        raise Malformed(
            "short", f"found {len(data)} bytes, expected a header of {HEADER.size} and a JPEG behind it"
        )
    if len(data) - HEADER.size > max_bytes:
        raise Malformed("large", f"found a frame of {len(data)} bytes, expected at most {max_bytes}")
    captured_ms, num_read, kind = HEADER.unpack_from(data)
    if not math.isfinite(captured_ms) or captured_ms < 0:
        raise Malformed("time", f"found capture time {captured_ms}, expected milliseconds from 0")
    if kind == POSES:
        return FrameMessage(
            captured_ms=captured_ms, num_read=num_read, poses=_parse_poses(data[HEADER.size :])
        )
    return FrameMessage(captured_ms=captured_ms, num_read=num_read, jpeg=data[HEADER.size :])


def pack_poses(
    captured_ms: float, num_read: int, height_px: int, width_px: int, rows_ND: np.ndarray
) -> bytes:
    """Poses as a guest sends them."""
    head = POSES_HEADER.pack(height_px, width_px, rows_ND.shape[1], len(rows_ND))
    return HEADER.pack(captured_ms, num_read, POSES) + head + rows_ND.astype("<f4").tobytes()


def _parse_poses(data: bytes) -> PoseRows:
    if len(data) < POSES_HEADER.size:
        raise Malformed(
            "poses", f"found {len(data)} bytes of poses, expected a header of {POSES_HEADER.size}"
        )
    height_px, width_px, num_columns, num_rows = POSES_HEADER.unpack_from(data)
    if (
        min(height_px, width_px) < 1
        or num_columns not in ROW_LENGTHS
        or num_rows > MAX_ROWS
        or len(data) != POSES_HEADER.size + 4 * num_columns * num_rows
    ):
        raise Malformed(
            "poses", f"found {num_rows} rows of {num_columns} numbers in {len(data)} bytes for a frame of {width_px} "
            f"x {height_px} px, expected at most {MAX_ROWS} rows of {' or '.join(map(str, ROW_LENGTHS))}"
        )  # fmt: skip
    rows_ND = np.frombuffer(data, "<f4", offset=POSES_HEADER.size).reshape(num_rows, num_columns)
    if not np.isfinite(rows_ND).all():
        raise Malformed("poses", "found numbers that are none")
    return PoseRows(height_px=height_px, width_px=width_px, rows_ND=rows_ND.astype(np.float32))


def parse_text(text: str) -> dict[str, Any]:
    """A text message.

    Raises:
        Malformed: no JSON object with a known `type`, or settings of another kind than expected.
    """
    if len(text) > TEXT_BYTES:
        raise Malformed("large", f"found a text of {len(text)} characters, expected at most {TEXT_BYTES}")
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        raise Malformed("json", "found no JSON, expected an object with a type") from None
    if not isinstance(message, dict) or message.get("type") not in ("hello", "settings"):
        raise Malformed("type", "expected an object of type hello or settings")
    if not isinstance(message.get("attention", False), bool):
        raise Malformed("attention", "expected attention to be true or false")
    if not isinstance(message.get("token", ""), str):
        raise Malformed("token", "expected token to be a text")
    return message


def decode_jpeg(jpeg: bytes, max_px: int) -> np.ndarray:
    """uint8 RGB [H, W, 3].

    Raises:
        Malformed: no JPEG, a broken one, or one larger than `max_px` on a side, which is not decoded.
    """
    size = jpeg_size(jpeg)
    if size is None:
        raise Malformed("jpeg", "found no JPEG")
    if max(size) > max_px:
        raise Malformed(
            "large", f"found a frame of {size[1]} x {size[0]} px, expected at most {max_px} a side"
        )
    try:
        image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR_RGB)
    except cv2.error:
        image = None
    if image is None:
        raise Malformed("jpeg", "found a JPEG that cannot be decoded")
    return image


def jpeg_size(jpeg: bytes) -> tuple[int, int] | None:
    """(height, width) that a JPEG's frame header states (ITU T.81, B.2.2); None where there is none."""
    if jpeg[:2] != b"\xff\xd8":
        return None
    at = 2
    while at + 9 <= len(jpeg) and jpeg[at] == 0xFF:
        marker = jpeg[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", jpeg, at + 5)
            return (height, width) if height and width else None
        elif marker in (0x01, *range(0xD0, 0xD8)):  # markers without a length
            at += 2
        else:
            at += 2 + struct.unpack_from(">H", jpeg, at + 2)[0]
    return None
