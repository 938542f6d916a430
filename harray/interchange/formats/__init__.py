"""Keypoints as other tools write them: a module a family of formats, and the table of all of them."""

import dataclasses
from collections.abc import Callable

from harray.interchange.formats import (
    body25b,
    coco,
    datumaro,
    deeplabcut,
    kinect,
    kinetics_skeleton,
    landmarks,
    matlab,
    openpose,
    sleap,
    tables,
    yolo,
)
from harray.interchange.formats.clips import FoundClip, FoundFrame
from harray.interchange.formats.source import Source


@dataclasses.dataclass(frozen=True, kw_only=True)
class Format:
    """A format: what it is called, what its files are told by, what reads one file."""

    name: str  # of `--format`
    title: str
    fits: Callable[[Source], bool]
    read: Callable[[Source], list[FoundClip | FoundFrame]]

    def settled(self, clips: list[FoundClip]) -> list[FoundClip]:
        """The clips of all files, after what only all of them can tell."""
        return body25b.settled(clips) if self.name == "openpose" else clips


# In the order in which they are asked whether a file is theirs.
FORMATS = {
    name: Format(name=name, title=title, fits=fits, read=read)
    for name, title, fits, read in (
        ("openpose", "OpenPose's JSON, a file a frame", openpose.fits, openpose.read),
        ("kinetics-skeleton", "Kinetics-skeleton JSON", kinetics_skeleton.fits, kinetics_skeleton.read),
        ("alphapose", "AlphaPose's JSON", coco.is_alphapose, coco.read_records),
        ("coco-results", "COCO keypoint results", coco.is_results, coco.read_records),
        ("coco", "COCO keypoint annotations", coco.is_annotations, coco.read_annotations),
        ("datumaro", "Datumaro's JSON", datumaro.fits, datumaro.read),
        ("ultralytics-json", "ultralytics' JSON", yolo.fits_json, yolo.read_json),
        ("landmarks", "JSON of MediaPipe, MoveNet and their like", landmarks.fits, landmarks.read),
        ("deeplabcut", "DeepLabCut's csv", deeplabcut.is_deeplabcut, deeplabcut.read_deeplabcut),
        ("csv", "csv of MediaPipe, MoveNet and their like", tables.is_table, tables.read_table),
        ("ntu", "NTU RGB+D's .skeleton", kinect.is_ntu, kinect.read_ntu),
        ("msr", "MSR-Action3D's text", kinect.is_msr, kinect.read_msr),
        ("ultralytics", "ultralytics' text, a file a frame", yolo.fits, yolo.read),
        ("penn", "Penn Action's .mat", matlab.is_penn, matlab.read_penn),
        ("jhmdb", "JHMDB's .mat", matlab.is_jhmdb, matlab.read_jhmdb),
        ("sleap", "SLEAP's analysis .h5", sleap.is_sleap, sleap.read_sleap),
        ("slp", "SLEAP's .slp", sleap.is_slp, sleap.read_slp),
        ("deeplabcut-h5", "DeepLabCut's .h5", deeplabcut.is_deeplabcut_h5, deeplabcut.read_deeplabcut_h5),
        ("npy", "arrays of MediaPipe and MoveNet", landmarks.fits_array, landmarks.read_array),
    )
}
PICKLE = "pickle"  # PYSKL and MMAction2, read by `harray.interchange.pickles`
