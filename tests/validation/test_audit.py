"""An audit of a store that was spoiled on purpose finds what was done to it, and accuses hardly anybody else."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from harray.features.tensors import clips_from_arrays
from harray.skeleton import layout_named
from harray.store import FeatureStore, StoreSettings
from harray.validation.audit import audit
from harray.validation.audit_page import write_audit
from harray.validation.doubles import find_doubles
from harray.validation.trimmed import find_trimmed

PEOPLE, FRAMES, JOINTS, SIDE, CHANNELS = 2, 32, 17, 3, 48
CLASSES, GROUPS, CLIPS = 8, 12, 3  # clips per class and group
WIDTH, HEIGHT = 320, 240
LAYOUT = layout_named("coco17")


@dataclass
class Film:
    """What a store is made of: who does what where, before it is spoiled."""

    path: str
    label: str
    group: str
    split: str
    keypoints: np.ndarray  # [people, frames, joints, 3]
    tokens: np.ndarray  # [1, side * side, channels]
    size: tuple[int, int] = (HEIGHT, WIDTH)

    def row(self):
        height, width = self.size
        clip = {"clip_id": self.path.strip("/").replace("/", "-"), "frame_index": range(FRAMES)}
        clip |= {"frame_sec": np.arange(FRAMES) / 12, "height_px": height, "width_px": width}
        return clip | {"keypoints": self.keypoints, "scene_tokens": self.tokens}

    def ledger(self):
        said = {"path": self.path, "label": self.label, "group": self.group, "splits": [self.split]}
        return said | {"clip_id": self.row()["clip_id"], "status": "extracted"}


def films(random):
    """Clips of eight movements by twelve people, each before a background of their own."""
    time = np.linspace(0, 1, FRAMES)
    body = random.normal(0, 1, (JOINTS, 2)) * [18, 40]
    waves = random.normal(0, 14, (CLASSES, 2, JOINTS, 2))
    rates = 1 + np.arange(CLASSES) % 4
    found = []
    for group in range(GROUPS):
        build, scene = random.normal(1, 0.06, (JOINTS, 1)), random.gamma(0.5, 1, (1, SIDE**2, CHANNELS))
        stand = [random.uniform(110, 210), random.uniform(100, 140)]
        split = "test" if group % 4 == 3 else "train"
        for label in range(CLASSES):
            for take in range(CLIPS):
                phase = random.uniform(0, 2 * np.pi)
                swing = np.stack([np.sin(2 * np.pi * rates[label] * time + phase + d) for d in (0, 1.3)])
                moved = np.einsum("dt,djc->tjc", swing, waves[label]) * random.normal(1, 0.15)
                own = np.sin(2 * np.pi * random.uniform(0.5, 3) * time + random.uniform(0, 6))
                moved += own[:, None, None] * random.normal(0, 4, (JOINTS, 2))
                keypoints = np.zeros((PEOPLE, FRAMES, JOINTS, 3))
                place = np.array(stand) + random.normal(0, 6, 2)
                keypoints[0, ..., :2] = (
                    body * build + moved + place + random.normal(0, 0.5, (FRAMES, JOINTS, 2))
                )
                keypoints[0, ..., 2] = random.uniform(0.5, 1, (FRAMES, JOINTS))
                tokens = scene * random.uniform(0.6, 1.4, scene.shape)
                path = f"/v/c{label}/g{group:02}_{take}.mp4"
                found.append(Film(path, f"c{label}", f"g{group:02}", split, keypoints, tokens))
    return found


def encoded_again(film, random, number):
    keypoints = film.keypoints.copy()
    keypoints[0, ..., :2] = keypoints[0, ..., :2] * 0.75 + random.normal(0, 0.7, (FRAMES, JOINTS, 2))
    keypoints[0, ..., 2] = random.uniform(0.4, 1, (FRAMES, JOINTS))
    tokens = film.tokens * random.uniform(0.9, 1.1, film.tokens.shape)
    split = "test" if number % 2 and film.split == "train" else film.split
    size = (round(HEIGHT * 0.75), round(WIDTH * 0.75))
    return Film(f"/copies/{number:02}.mp4", film.label, f"copy{number}", split, keypoints, tokens, size)


def mirrored(film, random, number):
    keypoints = film.keypoints[:, :, list(LAYOUT.flip_order)].copy()
    keypoints[0, ..., 0] = WIDTH - keypoints[0, ..., 0]
    keypoints[0, ..., :2] += random.normal(0, 0.7, (FRAMES, JOINTS, 2))
    tokens = film.tokens.reshape(1, SIDE, SIDE, CHANNELS)[:, :, ::-1].reshape(film.tokens.shape)
    tokens = tokens * random.uniform(0.9, 1.1, tokens.shape)
    return Film(f"/mirrored/{number:02}.mp4", film.label, f"mirror{number}", film.split, keypoints, tokens)


def stored(path, clips):
    shapes = {"keypoints_shape": (PEOPLE, FRAMES, JOINTS, 3), "scene_shape": (1, SIDE**2, CHANNELS)}
    store = FeatureStore.create(path, StoreSettings(skeleton="coco17", **shapes))
    store.write_shard([film.row() for film in clips])
    store.append_ledger([film.ledger() for film in clips])
    return store


@pytest.fixture(scope="module")
def spoiled(tmp_path_factory):
    """The store's audit, and what was done to it: sets of paths by kind."""
    random = np.random.default_rng(11)
    clips = films(random)
    clean = [film.path for film in clips]
    chosen = random.permutation(len(clips))
    again = [encoded_again(clips[place], random, number) for number, place in enumerate(chosen[:20])]
    mirror = [mirrored(clips[place], random, number) for number, place in enumerate(chosen[20:30])]
    done = {
        "doubles": {(clips[place].path, copy.path) for place, copy in zip(chosen[:20], again, strict=True)},
        "mirrored": {
            (clips[place].path, copy.path) for place, copy in zip(chosen[20:30], mirror, strict=True)
        },
        "labels": {clips[place].path for place in chosen[30:40]},
        "empty": {clips[place].path for place in chosen[40:45]},
        "groups": {"g00", "g01", "g02"},
    }
    for place in chosen[30:40]:
        clips[place].label = f"c{(int(clips[place].label[1:]) + random.integers(1, CLASSES)) % CLASSES}"
    for place in chosen[40:45]:
        clips[place].keypoints[..., 2] = 0
    for group in done["groups"]:
        members = [film for film in clips if film.group == group]
        for film in members[::7]:
            film.split = "test"
    store = stored(tmp_path_factory.mktemp("audit") / "store", clips + again + mirror)
    return store, audit(store), done, clean


def chapter(found, name):
    return next(part for part in found.chapters if part.name == name)


def test_of_doubles_encoded_again_or_mirrored_nineteen_in_twenty_are_found(spoiled):
    _, found, done, _ = spoiled
    pairs = {frozenset(finding.paths) for finding in chapter(found, "doubles").findings}
    wanted = {frozenset(pair) for pair in done["doubles"] | done["mirrored"]}
    assert len(pairs & wanted) >= 0.95 * len(wanted)
    kinds = {frozenset(f.paths): f.said.partition(",")[0] for f in chapter(found, "doubles").findings}
    assert {kinds[frozenset(pair)] for pair in done["mirrored"] if frozenset(pair) in kinds} == {"mirrored"}


def test_all_leaks_and_all_empty_clips_are_found(spoiled):
    _, found, done, _ = spoiled
    said = " ".join(finding.said for finding in chapter(found, "groups across splits").findings)
    assert all(f"group {group}:" in said for group in done["groups"])
    assert {path for finding in chapter(found, "nobody seen").findings for path in finding.paths} == done[
        "empty"
    ]


def test_seven_of_ten_wrong_labels_are_among_the_first_twenty(spoiled):
    _, found, done, _ = spoiled
    first = {finding.paths[0] for finding in chapter(found, "labels contradicted").findings[:20]}
    assert len(first & done["labels"]) >= 7


def test_at_most_one_in_fifty_clean_clips_is_accused(spoiled):
    _, found, done, clean = spoiled
    guilty = {path for pair in done["doubles"] | done["mirrored"] for path in pair}
    guilty |= done["labels"] | done["empty"]
    accused = (set(found.drop) | set(found.relabel)) & set(clean) - guilty
    assert len(accused) <= 0.02 * len(clean)


def test_the_files_are_what_extract_takes(spoiled, tmp_path):
    from harray.videos.corrections import Corrections

    store, found, done, _ = spoiled
    files = write_audit(found, store, tmp_path)
    page = files["page"].read_text()
    assert "data:image/jpeg;base64," in page and "http" not in page
    read = Corrections.read(files["drop"], files["relabel"])
    assert done["empty"] <= set(read.drop) == set(found.drop)
    assert set(read.relabel) == set(found.relabel)


def test_doubles_are_found_by_poses_alone_where_there_is_no_scene():
    random = np.random.default_rng(2)
    clips = films(random)
    again = [encoded_again(clips[place], random, place) for place in range(0, 200, 20)]
    mirror = [mirrored(clips[place], random, place) for place in range(5, 200, 20)]
    everything = clips + again + mirror
    tensors = clips_from_arrays(
        np.stack([film.keypoints for film in everything]),
        skeleton=LAYOUT,
        frame_size_N2=np.array([film.size for film in everything]),
        paths=[film.path for film in everything],
    )
    tensors = replace(tensors, clip_ids=tensors.paths)
    pairs = {(pair.first, pair.second - len(clips)) for pair in find_doubles(tensors)}
    places = [*range(0, 200, 20), *range(5, 200, 20)]
    wanted = {(place, number) for number, place in enumerate(places)}
    assert len(pairs & wanted) >= 19 and len(pairs - wanted) <= 0.02 * len(clips)


def test_a_clean_store_is_called_clean(tmp_path):
    clips = [film for film in films(np.random.default_rng(3)) if film.group < "g08"]
    found = audit(stored(tmp_path / "store", clips))
    assert not chapter(found, "doubles").findings and not chapter(found, "groups across splits").findings
    assert len(found.drop) + len(found.relabel) <= 0.02 * len(clips)
    assert write_audit(found, FeatureStore.open(tmp_path / "store"), tmp_path).keys() <= {"page", "relabel"}


def test_clips_cut_out_of_others_are_found_and_no_takes_of_the_same_person():
    random = np.random.default_rng(5)
    whole = films(random)
    seconds = [np.arange(FRAMES) / 12 for _ in whole]
    cut, wanted = [], set()
    for number, place in enumerate(random.permutation(len(whole))[:20]):
        share = random.uniform(0.3, 0.9)
        at = (random.uniform(0, 1 - share) + share * np.linspace(0, 1, FRAMES)) * (FRAMES - 1)
        before = np.clip(at.astype(int), 0, FRAMES - 2)
        part = (at - before)[None, :, None, None]
        film = whole[place].keypoints
        moved = (1 - part) * film[:, before] + part * film[:, before + 1]
        moved[0, ..., :2] += random.normal(0, 0.7, (FRAMES, JOINTS, 2))
        cut.append(replace(whole[place], path=f"/cut/{number}.mp4", keypoints=moved))
        seconds.append(seconds[place] * share)
        wanted.add((int(place), len(whole) + number))
    clips = clips_from_arrays(
        np.stack([film.keypoints for film in [*whole, *cut]]),
        skeleton=LAYOUT,
        frame_size_N2=np.full((len(whole) + len(cut), 2), [HEIGHT, WIDTH]),
        paths=[film.path for film in [*whole, *cut]],
    )
    pairs = {(pair.first, pair.second) for pair in find_trimmed(clips, seconds)}
    assert len(pairs & wanted) >= 17
    assert len(pairs - wanted) <= 1
    assert not find_trimmed(clips, [[] for _ in seconds])
