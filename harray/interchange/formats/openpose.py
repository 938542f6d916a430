"""OpenPose: a JSON file a frame, `people[].pose_keypoints_2d` flat x, y, confidence; BODY_25 or COCO-18.

Source: https://github.com/CMU-Perceptual-Computing-Lab/openpose, doc/02_output.md. Versions before 1.1 call it
`pose_keypoints`. Hands and faces are not read. Also a bare list of `{"joints": [[x, y], ...]}`, as ST-GCN's
preprocessing writes it. Where `person_id` is [-1], as it mostly is, people are tracked.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from harray.errors import InputError
from harray.interchange.formats.clips import FoundClip, FoundFrame, Moment, Person, clip_of
from harray.interchange.formats.points import flat, layout_for, numbers, scored
from harray.interchange.formats.source import JSON, Source, frame_named
from harray.skeleton import BODY25, SkeletonLayout

KEYS = ("pose_keypoints_2d", "pose_keypoints")


def fits(source: Source) -> bool:
    if source.kind != JSON:
        return False
    content = source.json
    if isinstance(content, Mapping):
        if isinstance(content.get("people"), list):
            people = content["people"]
            return not people or any(
                key in person for person in people for key in KEYS if isinstance(person, Mapping)
            )
        return bool(content) and all(_is_frame(value) for value in content.values())
    return _is_bare(source, content) or _is_frames(content)


def read(source: Source) -> list[FoundClip | FoundFrame]:
    content = source.json
    name, number = source.frame()
    if _is_frames(content):
        return _in_one_file(source, content)
    if not isinstance(content, Mapping):
        people = tuple(_bare(person, str(source.path)) for person in content)
        layout = layout_for(len(people[0].points_VC), openpose=True) if people else None
        said = (f"a file is read as the {len(people)} people of one frame",) if source.series == 1 else ()
        return [FoundFrame(clip=name, layout=layout, moment=Moment(people=people, number=number), said=said)]
    if "people" in content:
        people, layout = _people(content["people"], str(source.path))
        return [FoundFrame(clip=name, layout=layout, moment=Moment(people=people, number=number))]
    return _by_image(source, content)


def _is_frame(value: Any) -> bool:
    return isinstance(value, Mapping) and (
        isinstance(value.get("people"), list) or isinstance(value.get("bodies"), list)
    )


def _is_frames(content: Any) -> bool:
    return isinstance(content, list) and bool(content) and all(_is_frame(each) for each in content)


def _in_one_file(source: Source, frames: list[Mapping[str, Any]]) -> list[FoundClip | FoundFrame]:
    moments, layout = [], None
    for number, frame in enumerate(frames):
        people, this = _people(frame["people"], f"{source.path}: frame {number}")
        layout = layout or this
        moments.append(Moment(people=people, number=number))
    return [clip_of(source.name, layout or BODY25, moments, fps=source.fps)]


def _is_bare(source: Source, content: Any) -> bool:
    """People of one frame: few of them, or one of many files; else a list is frames."""
    if not isinstance(content, list) or not content:
        return False
    is_list = all(isinstance(each, Mapping) and isinstance(each.get("joints"), list) for each in content)
    marked = is_list and any("frame" in key for each in content for key in each)
    return is_list and not marked and len(content) <= (10 if source.series > 1 else 4)


def _bare(person: Mapping[str, Any], where: str) -> Person:
    points = numbers(person["joints"], where)
    if points.ndim != 2 or points.shape[1] not in (2, 3):
        raise InputError(f"{where}: joints: found shape {points.shape}, expected [joints, 2 or 3]")
    points[(points[:, :2] == -1).all(axis=1)] = np.nan
    return scored(points)


def _people(people: Any, where: str) -> tuple[tuple[Person, ...], SkeletonLayout | None]:
    found: list[Person] = []
    for number, person in enumerate(people):
        if not isinstance(person, Mapping):
            raise InputError(f"{where}: person {number}: found {type(person).__name__}, expected a dict")
        values = next((person[key] for key in KEYS if key in person), [])
        points = flat(values, 3, f"{where}: person {number}")
        if len(points):
            ids = person.get("person_id", [-1])
            track = ids[0] if isinstance(ids, list) and ids else ids
            known = isinstance(track, int) and track >= 0
            each = scored(points)
            found.append(
                Person(points_VC=each.points_VC, scores_V=each.scores_V, track=track if known else None)
            )
    counts = {len(person.points_VC) for person in found}
    if len(counts) > 1:
        raise InputError(f"{where}: people of {sorted(counts)} joints, expected one number of joints in all")
    return tuple(found), layout_for(counts.pop(), openpose=True) if counts else None


def _by_image(source: Source, content: Mapping[str, Any]) -> list[FoundClip | FoundFrame]:
    """All frames in one file, by the picture's name: AlphaPose's `--format open` and `cmu`."""
    clips: dict[str, list[Moment]] = {}
    layout = None
    for image, frame in content.items():
        people = frame.get("people")
        if people is None:
            people = [{KEYS[0]: body.get("joints", [])} for body in frame["bodies"]]
        found, this = _people(people, f"{source.path}: {image}")
        layout = this if found else layout
        name, number = frame_named(image.rsplit(".", 1)[0])
        clips.setdefault(name, []).append(Moment(people=found, number=number))
    layout = layout or BODY25
    names = {name: source.name if len(clips) == 1 else f"{source.name}/{name}" for name in clips}
    return [clip_of(names[name], layout, moments, fps=source.fps) for name, moments in clips.items()]
