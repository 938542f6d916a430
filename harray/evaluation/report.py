"""The page of an evaluation: one HTML file that needs no other, beside its figures and its JSON."""

import base64
import io
import json
from collections.abc import Mapping
from pathlib import Path

from harray.evaluation.figures import (
    calibration_figure,
    confusion_figure,
    objects_figure,
    occlusion_figure,
)
from harray.evaluation.findings import EvaluationReport
from harray.inference.lettering import save_figure


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
