"""Keypoints of other tools, a file or a folder of them: told by content, read, joined to clips, checked.

files --the format whose they are--> clips, or frames --joined by folder and name--> clips --> conventions --> ours
"""

import dataclasses
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from harray.errors import InputError
from harray.interchange.annotations import Annotation
from harray.interchange.conventions import to_ours
from harray.interchange.formats import FORMATS, PICKLE, Format
from harray.interchange.formats.clips import FoundClip, FoundFrame, merged
from harray.interchange.formats.kinetics_skeleton import is_label_file
from harray.interchange.formats.source import JSON, OTHER, Source, kind_of
from harray.interchange.formats.source import PICKLE as PICKLED
from harray.interchange.formats.yolo import kpt_shape
from harray.interchange.pickles import SkeletonFile, read_skeletons
from harray.interchange.plausible import order_messages
from harray.videos.datasets.ntu import samples_in
from harray.videos.layout import CLASS, GROUP, SPLIT, guess_layout
from harray.videos.listing import some
from harray.videos.splits import canonical_splits

SHARES = 1.5  # coordinates below which all are shares of a picture


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reading:
    """How keypoint files are read."""

    format: str | None = None  # name in FORMATS or "pickle"; None: told by content
    size_hw: tuple[int, int] | None = None  # px of the pictures, where files do not say
    fps: float = 25.0  # of the source videos


def read_keypoints(path: Path, reading: Reading) -> SkeletonFile:
    """Read a file or folder of any format in `FORMATS`, or a skeleton pickle.

    Raises:
        InputError: nothing there, files of no format or of several, or a file that is not what its format says; it is
            named.
    """
    known = (PICKLE, *FORMATS)
    if reading.format is not None and reading.format not in known:
        raise InputError(f"--format {reading.format}: expected one of {', '.join(known)}")
    if not path.exists():
        raise InputError(f"{path}: no such file or folder; expected keypoints of one of {', '.join(known)}")
    if path.is_file() and (
        reading.format == PICKLE or (reading.format is None and kind_of(path) in (PICKLED, OTHER))
    ):
        return read_skeletons(path)
    sources, left_out = _without_missing(path, *_sources(path, reading))
    found, format_of = _read(path, sources, reading, left_out)
    clips = [each for each in found if isinstance(each, FoundClip)]
    frames = [each for each in found if isinstance(each, FoundFrame)]
    if frames:
        clips += merged(frames, str(path), path.name if path.is_dir() else sources[0].name, reading.fps)
    return _file(path, format_of.settled(_unique(clips)), left_out, format_of, reading)


def _sources(path: Path, reading: Reading) -> tuple[list[Source], dict[str, list[str]]]:
    """Files that may hold keypoints, sorted by folder, name and number; by reason the names of all others."""
    if path.is_file():
        data = _yaml_beside([path.parent, path.parent.parent])
        own = path.name.removesuffix(".gz").rsplit(".", 1)[0]
        siblings = [_without_number(each.name) for each in path.parent.iterdir() if each.is_file()]
        series = max(1, siblings.count(_without_number(path.name)))
        return [Source(path=path, name=own, series=series, fps=reading.fps, data=data)], {}
    files = sorted((each for each in path.rglob("*") if each.is_file()), key=_natural)
    left_out: dict[str, list[str]] = {}
    series = Counter((each.parent, _without_number(each.name)) for each in files)
    sources, data = [], dict[Path, dict]()
    for each in files:
        below = each.relative_to(path)
        if any(part.startswith(".") for part in below.parts):
            left_out.setdefault("hidden", []).append(str(below))
        elif kind_of(each) in (OTHER, PICKLED):
            why = (
                "skeleton pickles, imported one by one"
                if kind_of(each) == PICKLED
                else each.suffix or "no ending"
            )
            if not (each.suffix == ".yaml" and _yaml_beside([each.parent]).get("from") == each):
                left_out.setdefault(why, []).append(str(below))
        else:
            beside = data.setdefault(each.parent, _yaml_beside([each.parent, *each.parent.parents][:4]))
            name = str(below).removesuffix(".gz").rsplit(".", 1)[0]
            number = series[each.parent, _without_number(each.name)]
            sources.append(Source(path=each, name=name, series=number, fps=reading.fps, data=beside))
    if not sources:
        found = ", ".join(f"{len(names)} {why}" for why, names in left_out.items()) or "nothing"
        raise InputError(
            f"{path}: no keypoint files in it (found {found}); expected one of {', '.join((PICKLE, *FORMATS))}"
        )
    return sources, left_out


def _without_missing(
    path: Path, sources: list[Source], left_out: dict[str, list[str]]
) -> tuple[list[Source], dict[str, list[str]]]:
    """The files without NTU's samples that a list of missing skeletons beside them names."""
    lists = [each for each in sources if "missing" in each.path.name.lower() and samples_in(each.path)]
    missing = {sample for each in lists for sample in samples_in(each.path)}
    if not missing or len(lists) == len(sources):
        return sources, left_out
    bad = [each for each in sources if each.stem[:20] in missing]
    if bad:
        left_out["in the lists of missing skeletons"] = [each.path.name for each in bad]
    return [each for each in sources if each not in lists and each not in bad], left_out


def _yaml_beside(folders: Sequence[Path]) -> dict:
    for folder in folders:
        for file in sorted(folder.glob("*.yaml")):
            try:
                shape = kpt_shape(file.read_text(encoding="utf-8", errors="replace"))
            except OSError:
                continue
            if shape is not None:
                return {"kpt_shape": shape, "from": file}
    return {}


def _without_number(name: str) -> str:
    return re.sub(r"\d+(?!.*\d)", "#", name)


def _natural(path: Path) -> list:
    return [
        [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", each)] for each in path.parts
    ]


def _read(
    path: Path, sources: Sequence[Source], reading: Reading, left_out: dict[str, list[str]]
) -> tuple[list[FoundClip | FoundFrame], Format]:
    """What the files hold, all of one format; what is of none is left out where it stands beside others."""
    forced = FORMATS.get(reading.format or "")
    found: dict[str, list[FoundClip | FoundFrame]] = {}
    bad: list[InputError] = []
    for source in sources:
        try:
            chosen = forced or next((each for each in FORMATS.values() if each.fits(source)), None)
            if chosen is None:
                left_out.setdefault(_why(source), []).append(source.path.name)
                continue
            found.setdefault(chosen.name, []).extend(_parts(chosen, source))
        except InputError as error:
            bad.append(error)
        finally:
            for cached in ("bytes", "text", "json", "mat", "array"):
                source.__dict__.pop(cached, None)
    if bad:
        more = f" (and {len(bad) - 1} more files like it)" if len(bad) > 1 else ""
        raise InputError(f"{bad[0]}{more}") from bad[0]
    if len(found) > 1:
        counts = ", ".join(f"{name} ({len(each)})" for name, each in found.items())
        raise InputError(
            f"{path}: files of several formats: {counts}; import each from a folder of its own, or name one by --format"
        )
    if not found:
        known = ", ".join((PICKLE, *FORMATS))
        reasons = "; ".join(f"{some(names, 3)}: {why}" for why, names in left_out.items())
        raise InputError(
            f"{path}: no keypoints of a known format ({reasons}); expected one of {known}, see --format"
        )
    [(name, each)] = found.items()
    return each, FORMATS[name]


def _parts(chosen: Format, source: Source) -> list[FoundClip | FoundFrame]:
    try:
        return chosen.read(source)
    except InputError:
        raise
    except (KeyError, ValueError, TypeError, IndexError, AttributeError) as error:
        what = f"no {error}" if isinstance(error, KeyError) else str(error)[:100]
        raise InputError(f"{source.path}: not as {chosen.title} should be: {what}") from error


def _why(source: Source) -> str:
    if source.kind == JSON and is_label_file(source.json):
        return "labels (see --labels)"
    return "not keypoints of any known format"


def _unique(clips: list[FoundClip]) -> list[FoundClip]:
    counts: Counter[str] = Counter()
    unique = []
    for clip in clips:
        counts[clip.name] += 1
        number = counts[clip.name]
        unique.append(clip if number == 1 else dataclasses.replace(clip, name=f"{clip.name}-{number}"))
    return unique


def _file(
    path: Path, clips: list[FoundClip], left_out: dict[str, list[str]], format_of: Format, reading: Reading
) -> SkeletonFile:
    layouts = Counter(clip.layout.name for clip in clips)
    if len(layouts) > 1:
        counts = ", ".join(f"{name} ({count})" for name, count in layouts.most_common())
        raise InputError(
            f"{path}: clips of several skeletons: {counts}; import each kind from a folder of its own"
        )
    said = [
        f"read as {format_of.title}: {len(clips)} clip{'s' * (len(clips) != 1)} of {clips[0].layout.name}"
    ]
    if left_out:
        said.append(
            "left out: "
            + "; ".join(f"{len(names)} {why} ({some(names, 2)})" for why, names in left_out.items())
        )
    lines = Counter(line for clip in clips for line in clip.said)
    of = f" ({{}} of {len(clips)} clips)" if len(clips) > 1 else ""
    said += [line + of.format(count) for line, count in lines.items()]
    clips, folders_said = _by_folders(path, clips)
    said += folders_said
    annotations, more = to_ours(path, [_annotation(clip, reading) for clip in clips])
    said += more + _shares(annotations) + order_messages(annotations, clips[0].layout)
    splits: dict[str, list[str]] = {}
    called = canonical_splits({split for clip in clips for split in clip.splits}, str(path))
    for clip in clips:
        for split in clip.splits:
            splits.setdefault(called[split], []).append(clip.name)
    layout = clips[0].layout
    return SkeletonFile(
        annotations=annotations, splits=splits, skeleton=layout.name, layout=layout, said=tuple(said)
    )


def _annotation(clip: FoundClip, reading: Reading) -> Annotation:
    return Annotation(
        frame_dir=clip.name,
        label=clip.label,
        size_hw=clip.size_hw if clip.size_hw != (0, 0) else reading.size_hw or (0, 0),
        keypoints_MTVC=clip.keypoints_MTVC,
        scores_MTV=np.ones(clip.keypoints_MTVC.shape[:3], np.float32)
        if _needs_ones(clip)
        else clip.scores_MTV,
        frame_index_T=clip.frame_index_T,
        group=clip.group,
    )


def _needs_ones(clip: FoundClip) -> bool:
    """In 3D the third coordinate would be asked about, whether it is a score."""
    return clip.scores_MTV is None and clip.keypoints_MTVC.shape[-1] == 3


def _by_folders(path: Path, clips: list[FoundClip]) -> tuple[list[FoundClip], list[str]]:
    """Labels and splits of the folders that clips lie in, where the files themselves have none."""
    if any(clip.label is not None for clip in clips) or not any("/" in clip.name for clip in clips):
        return clips, []
    folders = [tuple(clip.name.split("/")[:-1]) for clip in clips]
    if not all(folders):
        return clips, []
    try:
        levels = guess_layout(str(path), set(folders))
    except InputError:
        return clips, []
    named = [dict(zip(levels, parts, strict=False)) for parts in folders]
    if not all(CLASS in at for at in named):
        return clips, []
    labelled = [
        dataclasses.replace(
            clip,
            label=at[CLASS],
            group=clip.group or at.get(GROUP),
            splits=clip.splits or ((at[SPLIT],) if SPLIT in at else ()),
        )
        for clip, at in zip(clips, named, strict=True)
    ]
    counts = Counter(str(clip.label) for clip in labelled)
    if len(counts) == len(clips) > 1:
        return clips, ["folders hold a clip each, and name no class"]
    names = some([f"{name} ({count})" for name, count in sorted(counts.items())], 12)
    return labelled, [f"labels by folders {'/'.join(levels)}: {names}"]


def _shares(annotations: Sequence[Annotation]) -> list[str]:
    """A message where coordinates are shares of pictures whose size is not known."""
    flat = [each for each in annotations if each.keypoints_MTVC.shape[-1] == 2 and each.size_hw == (0, 0)]
    if not flat:
        return []
    tops = [np.abs(each.keypoints_MTVC[np.isfinite(each.keypoints_MTVC)]) for each in flat[:200]]
    top = max((float(np.quantile(each, 0.99)) for each in tops if len(each)), default=0.0)
    if top <= SHARES:
        return [
            "coordinates are shares of the picture, whose size no file says: taken as of square pictures; say it "
            "by --size "
            "WIDTHxHEIGHT"
        ]
    return ["the pictures' size is not known; coordinates are taken as pixels"]
