"""Arrow schemas of every table that passes between stages.

    manifest   which videos there are           videos -> extraction
    clips      the features of a clip           extraction -> store -> features; a function of the video's bytes
                                                and the extraction settings, and of nothing else
    ledger     what became of every input       extraction -> store; the manifest's columns plus the outcome

A clip is joined to its label, group and splits through the ledger (`clip_id`), so that a corrected label or a
moved folder needs no second extraction, and the same video under two names is computed once. A video that is cut
into several clips has one ledger row and several clips of one clip_id, told apart by `span`.
"""

from collections.abc import Sequence

import pyarrow as pa

SCHEMA_VERSION = 1  # raise it when a column changes; a store of another version is refused

EXTRACTED, QUARANTINED = "extracted", "quarantined"
MOVED = "moved"  # of a path that is gone, and of one whose clip came back under another

STREAM_COLUMNS = ("keypoints", "second_keypoints")  # of the clips table, one per stream of keypoints

MANIFEST = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),  # absolute or URI; of a pickle's clip PICKLE#frame_dir
        pa.field("label", pa.string()),  # null where unknown
        pa.field("group", pa.string()),  # actor or source video; null where unknown
        pa.field("dataset", pa.string()),
        pa.field("splits", pa.list_(pa.string()), nullable=False),  # such as ["train"] or ["train1", "test2"]
    ]
)

LEDGER = pa.schema(
    [
        *MANIFEST,
        pa.field("clip_id", pa.string()),  # null where the bytes could not be read
        pa.field("status", pa.string(), nullable=False),  # EXTRACTED, QUARANTINED or MOVED
        pa.field("stage", pa.string()),  # open, decode, pose, scene or write; null when extracted
        pa.field("error", pa.string()),  # the exception's class
        pa.field("message", pa.string()),  # why; when extracted, what is to be said of the video, or null
        pa.field("attempts", pa.int32(), nullable=False),
        pa.field("num_bytes", pa.int64()),  # of the file when it was taken; null where there was none
        pa.field("modified_ns", pa.int64()),  # its modification time; both unchanged: not looked at again
        pa.field("time", pa.timestamp("us", tz="UTC"), nullable=False),  # the latest row of a path rules
    ]
)


def clips_schema(
    shapes: Sequence[tuple[int, ...]],
    scene_shape: tuple[int, ...] | None,
) -> pa.Schema:
    """Schema of the clips table.

    Args:
        shapes: of each kind of keypoints, `[people, frames, joints, coordinates + 1]`: x px, y px, in 3D also z, then
            confidence in [0, 1]; a missing person, frame or joint keeps its place with confidence 0. A second kind is
            3D beside 2D or the reverse; its people stand in an order of their own.
        scene_shape: `[scene_frames, grid * grid, channels]`, or None where there is no scene branch.
    """
    fields = [
        pa.field("clip_id", pa.string(), nullable=False),
        pa.field("span", pa.int32(), nullable=False),  # number of the clip in its video, from 0
        pa.field(
            "is_last", pa.bool_(), nullable=False
        ),  # of its video's clips; without it the video is not done
        pa.field("num_people", pa.int32(), nullable=False),  # how many of the kept places hold somebody
        pa.field("frame_index", pa.list_(pa.int32()), nullable=False),  # source frames, one per kept frame
        pa.field("frame_sec", pa.list_(pa.float64()), nullable=False),  # their presentation times
        pa.field("height_px", pa.int32(), nullable=False),  # as width 0 where not known, in 3D
        pa.field("width_px", pa.int32(), nullable=False),
        pa.field(STREAM_COLUMNS[0], pa.fixed_shape_tensor(pa.float32(), shapes[0]), nullable=False),
    ]
    if scene_shape is not None:
        fields.append(
            pa.field("scene_tokens", pa.fixed_shape_tensor(pa.float16(), scene_shape), nullable=False)
        )
    for name, shape in zip(STREAM_COLUMNS[1:], shapes[1:], strict=False):
        fields.append(pa.field(name, pa.fixed_shape_tensor(pa.float32(), shape), nullable=False))
    return pa.schema(fields, metadata={"harray_schema": str(SCHEMA_VERSION)})
