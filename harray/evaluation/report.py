"""What an evaluation found, and its page: one HTML file that needs no other, beside its figures and its JSON."""

import base64
import html
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from harray.evaluation.across import ClassMap
from harray.evaluation.calibration import CalibrationReport
from harray.evaluation.figures import (
    calibration_figure,
    confusion_figure,
    objects_figure,
    occlusion_figure,
)
from harray.evaluation.findings import ClassScores, Mistake, ObjectAttention, OcclusionCurve, Reconstruction
from harray.inference.lettering import save_figure
from harray.metrics import Scores

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, kw_only=True)
class EvaluationReport:
    """Everything that one evaluation of one model on one split measured."""

    model: str
    store_digest: str
    split: str
    classes: tuple[str, ...]
    num_missing: int  # inputs of the split that were quarantined, so have no features
    num_learned: int | None  # clips that chose weights or epoch: above 0 it is no test; None: not known
    scores: Scores
    ablation: Mapping[str, Scores]  # fusion, pose_only, scene_only, scene_noise
    gate: Mapping[str, float]  # CFN's mean in [0, 1], of the parts that look at a scene; {} without one
    occlusion: Mapping[str, OcclusionCurve]  # by kind (evaluation/occlusion.py); empty if not measured
    reconstruction: Mapping[str, Reconstruction]  # by kind, those and real; empty without PCM
    confusion_AA: np.ndarray
    per_class: Sequence[ClassScores]
    mistakes: Sequence[Mistake]
    calibration: CalibrationReport | None = None
    floors: Mapping[str, Scores] = field(default_factory=dict)  # of training/floors.py; {} if not known
    num_floor_clips: int = 0  # that the floors learned from: the model's, as far as the store has them
    objects: Mapping[str, Mapping[str, ObjectAttention]] = field(default_factory=dict)
    """By part, then label; of a rendered store with scenes (rendered/attention.py), else {}."""
    class_map: ClassMap | None = None  # of another data set's labels; None: they are the model's classes
    page: Path | None = None  # the HTML page, where it was written

    def to_json(self) -> dict:
        """The keys that scripts rely on."""
        return {
            **asdict(self.scores),
            "num_missing": self.num_missing,
            "num_learned": self.num_learned,
            "split": self.split,
            "model": self.model,
            "store_digest": self.store_digest,
            "ablation": {name: asdict(scores) for name, scores in self.ablation.items()},
            "floors": {name: asdict(scores) for name, scores in self.floors.items()},
            "num_floor_clips": self.num_floor_clips,
            "gate": dict(self.gate),
            "calibration": None if self.calibration is None else asdict(self.calibration),
            "occlusion": {
                kind: {"hidden_shares": curve.hidden_shares, **curve.top1}
                for kind, curve in self.occlusion.items()
            },
            "reconstruction": {kind: asdict(errors) for kind, errors in self.reconstruction.items()},
            "objects": {
                part: {label: _object_json(found) for label, found in labels.items()}
                for part, labels in self.objects.items()
            },
            "per_class": {row.label: asdict(row) for row in self.per_class},
            "class_map": None if self.class_map is None else asdict(self.class_map),
        }

    def figure(self) -> "Figure":
        """The confusion matrix."""
        return confusion_figure(self.confusion_AA, self.classes)

    def _repr_html_(self) -> str:
        columns = ("top1", "top5", "macro_precision", "macro_recall", "macro_f1")
        rows = {**self.ablation} | {f"floor: {name}": scores for name, scores in self.floors.items()}
        head = "".join(f"<th>{name.replace('_', ' ')}</th>" for name in ("", *columns))
        body = "".join(
            f"<tr><th>{html.escape(name.replace('_', ' '))}</th>"
            + "".join(f"<td>{getattr(scores, column):.3f}</td>" for column in columns)
            + "</tr>"
            for name, scores in rows.items()
        )
        title = f"{self.model}: {self.scores.num_clips} clips of {self.split!r}, {self.num_missing} missing"
        return f"<b>{html.escape(title)}</b><table><tr>{head}</tr>{body}</table>"


def _object_json(found: ObjectAttention) -> dict:
    names = ("object", "on_object", "on_its_place", "without", "num_clips")
    return {name: getattr(found, name) for name in names}


def write_report(report: EvaluationReport, folder: Path) -> list[Path]:
    """Write report.html, report.json and the figures it shows into `folder`; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    figures = {"confusion": confusion_figure(report.confusion_AA, report.classes)}
    if report.calibration:
        figures["calibration"] = calibration_figure(report.calibration)
    if report.occlusion:
        figures["occlusion"] = occlusion_figure(report.occlusion)
    if any(report.objects.values()):
        figures["objects"] = objects_figure(report.objects)
    images: dict[str, bytes] = {}
    for name, figure in figures.items():
        buffer = io.BytesIO()
        save_figure(figure, buffer)
        images[name] = buffer.getvalue()
        (folder / f"{name}.png").write_bytes(images[name])
    (folder / "report.json").write_text(json.dumps(report.to_json(), indent=1))
    (folder / "report.html").write_text(_render(report, images))
    return [folder / "report.html", folder / "report.json", *(folder / f"{name}.png" for name in images)]


def _render(report: EvaluationReport, images: Mapping[str, bytes]) -> str:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    encoded = {name: base64.b64encode(png).decode() for name, png in images.items()}
    tiles = [
        (name.replace("_", " ").replace("top", "top-"), getattr(report.scores, name))
        for name in ("top1", "top5", "macro_precision", "macro_recall", "macro_f1")
    ]
    return environment.get_template("report.html.jinja").render(report=report, images=encoded, tiles=tiles)
