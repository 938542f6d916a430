"""The page of a promotion: champion and challenger side by side, one HTML file that needs no other, and its JSON."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harray.features.config import FeaturesConfig
from harray.store import FeatureStore
from harray.validation.duel import Duel
from harray.validation.gate import Gate, Verdict
from harray.validation.paired import Difference
from harray.validation.pictures import clip_pictures

MOST_SHOWN = 12  # clips won, and clips lost
FILES = "promotion.html", "promotion.json"


@dataclass(frozen=True, kw_only=True)
class Names:
    """What a comparison was of."""

    model: str
    champion: int  # version
    challenger: int
    split: str
    store: str
    store_digest: str


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A clip that one of the two has right."""

    path: str
    label: str
    champion: tuple[str, float]
    challenger: tuple[str, float]
    picture: str  # data URI


def write_duel(
    found: Duel, gate: Gate, verdict: Verdict, names: Names, store: FeatureStore, folder: Path
) -> list[Path]:
    """Write the page and what it says as JSON; returns their paths, the page first."""
    folder.mkdir(parents=True, exist_ok=True)
    page, data = (folder / name for name in FILES)
    data.write_text(json.dumps(evidence_json(found, gate, verdict, names), indent=1))
    page.write_text(_render(found, gate, verdict, names, store))
    return [page, data]


def evidence_json(found: Duel, gate: Gate, verdict: Verdict, names: Names) -> dict[str, Any]:
    """All figures, without pictures."""
    measured = found.measured
    return {
        **verdict.to_json(),
        **dataclasses.asdict(names),
        "gate": dataclasses.asdict(gate),
        "overall": difference_json(measured.overall),
        "slices": {
            part.name: {**difference_json(part.difference), "p_adjusted": part.p_adjusted}
            for part in measured.slices
        },
        "too_few": list(measured.too_few),
        "left_out": dataclasses.asdict(found.left_out),
        "costs": {
            "champion": dataclasses.asdict(measured.champion),
            "challenger": dataclasses.asdict(measured.challenger),
        },
    }


def difference_json(difference: Difference) -> dict[str, Any]:
    return {**dataclasses.asdict(difference), "difference": difference.difference}


def _render(found: Duel, gate: Gate, verdict: Verdict, names: Names, store: FeatureStore) -> str:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    places = {title: np.flatnonzero(found.gain_N == gain) for title, gain in (("lost", -1), ("won", 1))}
    shown_places = {title: _surest(found, of_title)[:MOST_SHOWN] for title, of_title in places.items()}
    wanted = [found.clips.paths[place] for of_title in shown_places.values() for place in of_title]
    pictures = clip_pictures(store, wanted, FeaturesConfig().min_confidence)
    return environment.get_template("duel.html.jinja").render(
        names=names,
        gate=gate,
        verdict=verdict,
        found=found,
        measured=found.measured,
        counts={title: len(of_title) for title, of_title in places.items()},
        clips={title: _shown(found, of_title, pictures) for title, of_title in shown_places.items()},
    )


def _surest(found: Duel, places: np.ndarray) -> list[int]:
    """Those of which whoever is wrong is surest come first."""
    wrong = [(found.champion if found.gain_N[place] > 0 else found.challenger)[place][1] for place in places]
    return [int(places[i]) for i in np.argsort(wrong)[::-1]]


def _shown(found: Duel, places: list[int], pictures: Mapping[str, str]) -> list[Shown]:
    clips = found.clips
    return [
        Shown(
            path=clips.paths[place],
            label=clips.classes[int(clips.labels_N[place])],
            champion=found.champion[place],
            challenger=found.challenger[place],
            picture=pictures.get(clips.paths[place], ""),
        )
        for place in places
    ]
