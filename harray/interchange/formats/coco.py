"""COCO keypoints: results, annotations, and AlphaPose's list, which has the same records.

    results, AlphaPose   [{"image_id", "category_id", "keypoints": flat x, y, score, "score"}, ...]
    annotations          {"images": [...], "annotations": [{"image_id", "keypoints": flat x, y, v}], "categories"}

Sources: https://cocodataset.org/#format-data, https://github.com/MVIG-SJTU/AlphaPose (docs/output.md). AlphaPose's
`idx` is a track where it is one number. PoseTrack's `track_id` and the videos of its images are read.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from harray.errors import InputError
from harray.interchange.formats.clips import FoundClip, FoundFrame, Moment, Person, clip_of
from harray.interchange.formats.points import flat, layout_for, layout_of_names, leading
from harray.interchange.formats.source import JSON, Source, frame_named
from harray.skeleton import SkeletonLayout

NAMELESS = ("alphapose-results", "results", "keypoints", "predictions", "person_keypoints")
VIDEO_KEYS = ("video_id", "vid_id", "video", "sequence", "seq_name", "video_name")
FRAME_KEYS = ("frame_id", "frame_index", "frame", "frame_number", "mot_frame_id")


def is_alphapose(source: Source) -> bool:
    """Records of named pictures."""
    return _is_records(source) and isinstance(_first(source.json).get("image_id"), str)


def is_results(source: Source) -> bool:
    return _is_records(source)


def is_annotations(source: Source) -> bool:
    if source.kind != JSON or not isinstance(source.json, Mapping):
        return False
    content = source.json
    lists = isinstance(content.get("annotations"), list) and isinstance(content.get("images"), list)
    return lists and any("keypoints" in each for each in content["annotations"] if isinstance(each, Mapping))


def read_records(source: Source) -> list[FoundClip | FoundFrame]:
    content = source.json
    if isinstance(content, Mapping):  # AlphaPose by picture
        records = [{**record, "image_id": image} for image, people in content.items() for record in people]
    else:
        records = content
    layout: SkeletonLayout | None = None
    said: dict[str, None] = {}
    clips: dict[str, dict[int, list[Person]]] = {}
    for number, record in enumerate(records):
        where = f"{source.path}: record {number}"
        if not isinstance(record, Mapping) or "keypoints" not in record or "image_id" not in record:
            raise InputError(f"{where}: expected image_id and keypoints in each record")
        person, found = _person(record, where, said)
        layout = _same(layout, found, where)
        name, frame = _place(record["image_id"])
        clips.setdefault(name, {}).setdefault(number if frame is None else frame, []).append(person)
    if layout is None:
        raise InputError(f"{source.path}: no records in it; expected one a person and frame")
    own = _own_name(source)
    named = {name: own if len(clips) == 1 else f"{own}/{name}" for name in clips}
    return [
        clip_of(
            named[name],
            layout,
            [Moment(people=tuple(people), number=frame) for frame, people in sorted(frames.items())],
            said=list(said),
            fps=source.fps,
        )
        for name, frames in clips.items()
    ]


def read_annotations(source: Source) -> list[FoundClip | FoundFrame]:
    content = source.json
    images = {image.get("id"): image for image in content["images"]}
    every = [each for each in content["annotations"] if each.get("keypoints")]
    records = [each for each in every if any(each["keypoints"][2::3])]
    said = dict.fromkeys(
        ["people without a labelled joint are left out"] if len(records) < len(every) else []
    )
    layout, order = _layout_of_categories(source, content, every)
    clips: dict[str, dict[int, list[Person]]] = {}
    sizes: dict[str, tuple[int, int]] = {}
    by_image: dict[Any, list[Mapping[str, Any]]] = {}
    for record in records:
        by_image.setdefault(record["image_id"], []).append(record)
    for place, (key, image) in enumerate(images.items()):
        name, frame = _place_of_image(image)
        number = place if frame is None else frame
        clips.setdefault(name, {}).setdefault(number, [])
        if image.get("height") and image.get("width"):
            sizes.setdefault(name, (int(image["height"]), int(image["width"])))
        for record in by_image.get(key, []):
            points = flat(record["keypoints"], 3, f"{source.path}: annotation {record.get('id')}")[order]
            seen_V = (points[:, 2] > 0).astype(float)
            person = Person(points_VC=points[:, :2], scores_V=seen_V, track=_track(record, "track_id"))
            clips[name][number].append(person)
    own = _own_name(source)
    found = [
        clip_of(
            own if len(clips) == 1 else f"{own}/{name}",
            layout,
            [Moment(people=tuple(people), number=frame) for frame, people in sorted(frames.items())],
            said=list(said),
            fps=source.fps,
        )
        for name, frames in clips.items()
    ]
    return [
        dataclasses.replace(clip, size_hw=sizes.get(name, (0, 0)))
        for clip, name in zip(found, clips, strict=True)
    ]


def _is_records(source: Source) -> bool:
    return source.kind == JSON and {"image_id", "keypoints"} <= set(_first(source.json))


def _first(content: Any) -> Mapping[str, Any]:
    if isinstance(content, list) and content and isinstance(content[0], Mapping):
        return content[0]
    if isinstance(content, Mapping):
        lists = [value for value in content.values() if isinstance(value, list) and value]
        if (
            lists
            and len(lists) == len(content)
            and all(
                isinstance(each[0], Mapping)
                and isinstance(each[0].get("keypoints"), list)
                and "score" in each[0]
                for each in lists
            )
        ):
            return {"image_id": next(iter(content)), **lists[0][0]}
    return {}


def _person(record: Mapping[str, Any], where: str, said: dict[str, None]) -> tuple[Person, SkeletonLayout]:
    points, body = leading(flat(record["keypoints"], 3, where))
    if body:
        said["face and hands of the whole body are left out"] = None
    layout = body or layout_for(len(points))
    track = _track(record, "track_id", "idx")
    return Person(points_VC=points[:, :2], scores_V=points[:, 2], track=track), layout


def _track(record: Mapping[str, Any], *keys: str) -> int | None:
    for key in keys:
        value = record.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
            return int(value)
    return None


def _same(layout: SkeletonLayout | None, found: SkeletonLayout, where: str) -> SkeletonLayout:
    if layout is not None and layout.name != found.name:
        raise InputError(
            f"{where}: {found.num_joints} joints, expected {layout.num_joints} as in those before; keep one "
            "skeleton a file"
        )
    return found


def _place(image_id: Any) -> tuple[str, int | None]:
    """Clip and frame of a picture, by its number or name."""
    if isinstance(image_id, int | float):
        return "", int(image_id)
    text = str(image_id)
    stem = text.rsplit(".", 1)[0] if "." in text.rpartition("/")[2] else text
    return frame_named(stem)


def _place_of_image(image: Mapping[str, Any]) -> tuple[str, int | None]:
    name, number = _place(image.get("file_name") or image.get("id"))
    video = next((image[key] for key in VIDEO_KEYS if image.get(key) is not None), None)
    frame = next((image[key] for key in FRAME_KEYS if image.get(key) is not None), None)
    if video is None and number is None:
        number = image.get("id") if isinstance(image.get("id"), int) else None
        name = ""
    return str(video) if video is not None else name, number if frame is None else int(frame)


def _own_name(source: Source) -> str:
    """A file that every tool names alike is named after its folder."""
    return (source.folder or source.path.parent.name) if source.stem.lower() in NAMELESS else source.name


def _layout_of_categories(
    source: Source, content: Mapping[str, Any], records: Sequence[Mapping[str, Any]]
) -> tuple[SkeletonLayout, list[int]]:
    counts = {len(each["keypoints"]) // 3 for each in records}
    if len(counts) != 1:
        found = ", ".join(map(str, sorted(counts))) or "none"
        raise InputError(
            f"{source.path}: keypoints of {found} joints, expected one skeleton; keep one category a file"
        )
    count = counts.pop()
    used = {each.get("category_id") for each in records}
    for category in content.get("categories") or []:
        names, bones = category.get("keypoints") or [], category.get("skeleton") or []
        if category.get("id") in used and len(names) == count:
            first = 0 if any(0 in bone for bone in bones) else 1  # COCO counts joints from 1, others do not
            ends = [(a - first, b - first) for a, b in bones]
            layout, order = layout_of_names(names)
            return (layout, order) if not layout.name.startswith("own") else layout_of_names(names, ends)
    return layout_for(count), list(range(count))
