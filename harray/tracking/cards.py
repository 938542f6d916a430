"""The model card of a registered version: what it learned from, what it scores, where it ends. MLflow shows it.

Each section is a version tag, `harray.card.SECTION`, in JSON; the description is written anew from all of them:

    made           at registration: data, groups, classes, settings, weights and their licence
    test and such  after `harray evaluate`: scores with intervals, by the split's name
    gate           after `harray promote --gate`: the comparison, its slices and its verdict
"""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harray.tracking.location import connect

if TYPE_CHECKING:
    from mlflow import MlflowClient

PREFIX = "harray.card."
MADE, GATE = "made", "gate"
LIMITS = (
    "Scores hold for clips like those of the data above; other cameras, people and places are another distribution.",
    "The model always names one of its classes: what is none of them gets a label too. Clips in which hardly anybody "
    "is seen are marked unsure.",
    "Not made for decisions about people, such as surveillance, diagnosis or hiring.",
)
LICENCES = {  # beginnings of a weights' name -> whose terms hold
    "yolo": "{name}: AGPL-3.0 or Ultralytics' enterprise licence",
    "embedded": "harray's own pose weights, trained on rendered people: AGPL-3.0, as harray",
    "imagenet": "torchvision's ResNet-50: BSD-3-Clause; trained on ImageNet, whose pictures are for research",
    "random": "",
    "none": "",
}


def update_cards(uri: str, run_id: str, section: str, values: Mapping[str, Any]) -> list[str]:
    """Write a section of every version that came of a run; their names, such as `actions version 3`."""
    client = connect(uri)
    versions = client.search_model_versions(f"run_id = '{run_id}'")
    for version in versions:
        write_section(client, version.name, version.version, section, values)
    return [f"{version.name} version {version.version}" for version in versions]


def write_section(
    client: "MlflowClient", name: str, version: int | str, section: str, values: Mapping[str, Any]
) -> None:
    """Replace a section, and with it the description."""
    number = str(version)
    client.set_model_version_tag(name, number, f"{PREFIX}{section}", json.dumps(values))
    tags = client.get_model_version(name, number).tags
    client.update_model_version(name, number, description=card_text(name, number, sections_of(tags)))


def sections_of(tags: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """The sections that a version's tags hold."""
    return {
        key.removeprefix(PREFIX): json.loads(value) for key, value in tags.items() if key.startswith(PREFIX)
    }


def card_text(name: str, version: str, sections: Mapping[str, Mapping[str, Any]]) -> str:
    """Markdown of the sections."""
    lines = [f"# {name}, version {version}", ""]
    if made := sections.get(MADE):
        lines += [*_data(made), ""]
    if scored := {key: part for key, part in sections.items() if key not in (MADE, GATE)}:
        lines += [*_scores(scored), ""]
    if gate := sections.get(GATE):
        lines += [*_gate(gate), ""]
    lines += ["## Limits", "", *[f"- {limit}" for limit in LIMITS], ""]
    licences = sections.get(MADE, {}).get("licences", [])
    lines += ["## Licences", "", "- Code: AGPL-3.0.", *[f"- {licence}." for licence in licences]]
    return "\n".join([*lines, "- Weights: the terms of the data they were learned from hold."])


def licences_of(origin: Mapping[str, Any]) -> list[str]:
    """Whose terms hold for the weights that made the features.

    Args:
        origin: of a checkpoint, such as `{"poses.weights": "yolov8n-pose.pt"}`.
    """
    found = []
    for room in ("poses", "scenes"):
        weights = origin.get(f"{room}.weights")
        if weights is None:
            continue
        name = str(weights).rpartition("/")[2]
        known = next((text for start, text in LICENCES.items() if name.startswith(start)), None)
        said = f"{name}: not known to harray, see where it came from" if known is None else known
        if said:
            found.append(f"Features by {said.format(name=name)}")
    return found


def _data(made: Mapping[str, Any]) -> list[str]:
    classes = made["classes"]
    shown = ", ".join(classes[:30]) + (f" and {len(classes) - 30} more" if len(classes) > 30 else "")
    groups = f"{made['num_groups']} groups" if made["num_groups"] else "no groups known"
    scene = "with" if made["scene"] else "without"
    return [
        "## Data",
        "",
        f"- Learned from {made['num_clips']} clips ({groups}) of store {made['store']}, digest {made['store_digest']}.",
        f"- {len(classes)} classes: {shown}.",
        f"- Skeleton {made['skeleton']}, {scene} scene; recipe {made['recipe'] or 'none'}, seed {made['seed']}, "
        f"harray {made['harray_version']}.",
    ]


def _scores(scored: Mapping[str, Mapping[str, Any]]) -> list[str]:
    lines = ["## Scores", "", "| split | clips | top-1 | 95% interval | macro F1 |", "|---|---|---|---|---|"]
    for split, part in sorted(scored.items()):
        low, high = part["interval"]
        lines.append(
            f"| {split} | {part['num_clips']} | {part['top1']:.3f} | {low:.3f} to {high:.3f} | {part['macro_f1']:.3f} |"
        )
    for split, part in sorted(scored.items()):
        worst = ", ".join(f"{label} {f1:.2f}" for label, f1 in part["worst_classes"])
        lines += ["", f"On {split}, classes with the lowest F1: {worst}."]
        if part["slices"]:
            slices = ", ".join(f"{name} {top1:.3f}" for name, top1 in part["slices"].items())
            lines += ["", f"Top-1 otherwise: {slices}."]
    return [*lines, "", "Intervals are Wilson's, clips taken as independent of one another."]


def _gate(gate: Mapping[str, Any]) -> list[str]:
    lines = [f"## Promotion: {gate['verdict']}", "", *[f"- {reason}" for reason in gate["reasons"]], ""]
    lines += ["| slice | clips | this | champion then |", "|---|---|---|---|"]
    rows: Sequence[Sequence[Any]] = gate["slices"]
    lines += [f"| {name} | {num} | {this:.3f} | {then:.3f} |" for name, num, this, then in rows]
    return [*lines, "", f"Evidence: {gate['evidence']}."]
