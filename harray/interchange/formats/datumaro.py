"""Datumaro's and CVAT's JSON: items with annotations of type skeleton, flat x, y, v in the order of its points."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from harray.errors import InputError
from harray.interchange.formats.clips import FoundClip, FoundFrame, Moment, Person, clip_of
from harray.interchange.formats.points import flat, layout_of_names
from harray.interchange.formats.source import JSON, Source, frame_named


def fits(source: Source) -> bool:
    content = source.json if source.kind == JSON else None
    return isinstance(content, Mapping) and isinstance(content.get("items"), list) and "categories" in content


def read(source: Source) -> list[FoundClip | FoundFrame]:
    content = source.json
    points = content["categories"].get("points", {}).get("items", [])
    if len(points) != 1:
        raise InputError(f"{source.path}: {len(points)} kinds of skeletons, expected one")
    names = [str(name) for name in points[0]["labels"]]
    bones = [(int(a) - 1, int(b) - 1) for a, b in points[0].get("joints", [])]
    layout, order = layout_of_names(names)
    if layout.name.startswith("own"):
        layout, order = layout_of_names(names, bones)
    clips: dict[str, list[Moment]] = {}
    size = (0, 0)
    for item in content["items"]:
        name, number = frame_named(str(item["id"]))
        people = []
        for each in item.get("annotations", []):
            if each.get("type") in ("skeleton", "points") and each.get("points"):
                values = flat(each["points"], 3, f"{source.path}: item {item['id']}")[order]
                track = _track(each)
                people.append(
                    Person(points_VC=values[:, :2], scores_V=(values[:, 2] > 0).astype(float), track=track)
                )
        clips.setdefault(name, []).append(Moment(people=tuple(people), number=number))
        if item.get("image", {}).get("size"):
            size = tuple(map(int, item["image"]["size"][:2]))
    found = [
        clip_of(source.name if len(clips) == 1 else f"{source.name}/{name}", layout, moments, fps=source.fps)
        for name, moments in clips.items()
    ]
    return [dataclasses.replace(clip, size_hw=size) for clip in found]


def _track(annotation: Mapping[str, Any]) -> int | None:
    track = annotation.get("attributes", {}).get("track_id")
    return track if isinstance(track, int) else None
