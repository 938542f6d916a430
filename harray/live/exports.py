"""Timelines as other tools read them: CSV, WebVTT subtitles, ELAN, Label Studio, and a picture.

Sources: WebVTT https://www.w3.org/TR/webvtt1/, EAF https://www.mpi.nl/tools/elan/EAF_Annotation_Format_3.0_and_ELAN.pdf,
Label Studio https://labelstud.io/guide/predictions (timeline labels of a video).
"""

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from xml.etree import ElementTree

from harray.live.timeline import Segment
from harray.videos.decoding import Video, VideoError

LABEL_STUDIO_FPS = 24.0
LANE_PX, WIDTH_IN = 0.45, 12.0


def write_timeline(segments: Sequence[Segment], video: str, folder: Path, name: str) -> list[Path]:
    """Write NAME.csv, .vtt, .eaf, .labelstudio.json and .png into a folder, which is made; their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    fps = frame_rate(video)
    makers: dict[str, Callable[[Sequence[Segment], str], str]] = {
        "csv": lambda found, _: as_csv(found),
        "vtt": lambda found, _: as_vtt(found),
        "eaf": as_eaf,
        "labelstudio.json": lambda found, of: as_label_studio(found, of, fps),
    }
    paths = []
    for ending, make in makers.items():
        paths.append(folder / f"{name}.{ending}")
        paths[-1].write_text(make(segments, video), encoding="utf-8")
    paths.append(folder / f"{name}.png")
    draw_lanes(segments, Path(video).name, paths[-1])
    return paths


def lane_name(track: int | None) -> str:
    return "picture" if track is None else f"person {track}"


def as_csv(segments: Sequence[Segment]) -> str:
    """track (empty: the whole picture), start_sec, end_sec, label, probability."""
    text = io.StringIO()
    rows = csv.DictWriter(
        text, ["track", "start_sec", "end_sec", "label", "probability"], lineterminator="\n"
    )
    rows.writeheader()
    rows.writerows(segment.to_json() for segment in segments)
    return text.getvalue()


def as_vtt(segments: Sequence[Segment]) -> str:
    """Subtitles: a cue a segment, its voice the person."""
    cues = []
    for segment in sorted(segments, key=lambda segment: segment.start_sec):
        label = segment.label.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        text = f"<v {lane_name(segment.track)}>{label} {segment.probability:.0%}"
        cues.append(f"{_clock(segment.start_sec)} --> {_clock(segment.end_sec)}\n{text}\n")
    return "\n".join(["WEBVTT\n", *cues])


def _clock(seconds: float) -> str:
    minutes, milliseconds = divmod(round(1000 * seconds), 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{milliseconds // 1000:02}.{milliseconds % 1000:03}"


def as_eaf(segments: Sequence[Segment], video: str) -> str:
    """An ELAN document with a tier a person."""
    root = ElementTree.Element(
        "ANNOTATION_DOCUMENT", AUTHOR="harray", FORMAT="3.0", VERSION="3.0", DATE="1970-01-01T00:00:00+00:00"
    )
    header = ElementTree.SubElement(root, "HEADER", MEDIA_FILE="", TIME_UNITS="milliseconds")
    url = video if "://" in video else Path(video).absolute().as_uri()
    ElementTree.SubElement(header, "MEDIA_DESCRIPTOR", MEDIA_URL=url, MIME_TYPE="video/*")
    order = ElementTree.SubElement(root, "TIME_ORDER")
    tiers: dict[int | None, ElementTree.Element] = {}
    for number, segment in enumerate(segments):
        slots = {"TIME_SLOT_REF1": f"ts{2 * number}", "TIME_SLOT_REF2": f"ts{2 * number + 1}"}
        for slot, seconds in zip(slots.values(), (segment.start_sec, segment.end_sec), strict=True):
            ElementTree.SubElement(
                order, "TIME_SLOT", TIME_SLOT_ID=slot, TIME_VALUE=str(round(1000 * seconds))
            )
        if segment.track not in tiers:
            tiers[segment.track] = ElementTree.Element(
                "TIER", TIER_ID=lane_name(segment.track), LINGUISTIC_TYPE_REF="action"
            )
        annotation = ElementTree.SubElement(tiers[segment.track], "ANNOTATION")
        aligned = ElementTree.SubElement(
            annotation, "ALIGNABLE_ANNOTATION", {"ANNOTATION_ID": f"a{number}", **slots}
        )
        ElementTree.SubElement(aligned, "ANNOTATION_VALUE").text = segment.label
    root.extend(tiers.values())
    ElementTree.SubElement(root, "LINGUISTIC_TYPE", LINGUISTIC_TYPE_ID="action", TIME_ALIGNABLE="true")
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True)


def frame_rate(video: str) -> float:
    """Frames per second as a file states them; Label Studio's own default where it cannot be read."""
    try:
        return Video(video).fps or LABEL_STUDIO_FPS
    except VideoError:
        return LABEL_STUDIO_FPS


def as_label_studio(segments: Sequence[Segment], video: str, fps: float) -> str:
    """One task with predictions, for a labelling interface with

        <Video name="video" value="$video" framerate="$fps"/> <TimelineLabels name="actions" toName="video">...

    Label Studio counts frames from 1, at the rate of its `<Video>`; each segment's seconds stand in its `meta` too.
    """
    results = [
        {
            "id": f"s{number}",
            "type": "timelinelabels",
            "from_name": "actions",
            "to_name": "video",
            "value": {
                "ranges": [
                    {"start": 1 + round(fps * segment.start_sec), "end": 1 + round(fps * segment.end_sec)}
                ],
                "timelinelabels": [segment.label],
            },
            "score": round(segment.probability, 4),
            "meta": {"text": [lane_name(segment.track)], **segment.to_json()},
        }
        for number, segment in enumerate(segments)
    ]
    scores = [segment.probability for segment in segments]
    prediction = {
        "model_version": "harray",
        "score": sum(scores) / len(scores) if scores else 0.0,
        "result": results,
    }
    return json.dumps(
        [{"data": {"video": video, "fps": round(fps, 3)}, "predictions": [prediction]}], indent=1
    )


def draw_lanes(segments: Sequence[Segment], title: str, path: Path) -> None:
    """A picture with one lane a person, a colour a label."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    from harray.inference.lettering import save_figure

    tracks = list(dict.fromkeys(segment.track for segment in segments))
    labels = sorted({segment.label for segment in segments})
    colours = {label: colormaps["tab20"](number % 20) for number, label in enumerate(labels)}
    figure = Figure(figsize=(WIDTH_IN, 1.6 + LANE_PX * max(1, len(tracks))), layout="constrained")
    axes = figure.subplots()
    for lane, track in enumerate(tracks):
        for segment in (each for each in segments if each.track == track):
            length = segment.end_sec - segment.start_sec
            axes.barh(lane, length, left=segment.start_sec, color=colours[segment.label], height=0.8)
    for label in labels:
        axes.barh(0, 0, color=colours[label], label=label)
    axes.set_yticks(range(len(tracks)), [lane_name(track) for track in tracks])
    axes.set(xlabel="time (s)", title=title)
    axes.invert_yaxis()
    if labels:
        axes.legend(frameon=False, ncols=min(6, len(labels)), loc="upper center", bbox_to_anchor=(0.5, -0.12))
    save_figure(figure, path)
