import json
import re
from dataclasses import replace

import numpy as np
import pytest

from harray.evaluation.findings import ClassScores, Mistake, OcclusionCurve
from harray.evaluation.report import EvaluationReport, write_report
from harray.metrics import classification_scores


@pytest.fixture
def report() -> EvaluationReport:
    scores = classification_scores(np.array([[0.9, 0.1], [0.6, 0.4]]), np.array([0, 1]))
    return EvaluationReport(
        model="models:/m@champion",
        store_digest="0123",
        split="test",
        classes=("wave <left>", "jump"),
        num_missing=3,
        num_learned=0,
        scores=scores,
        ablation={"fusion": scores, "pose_only": scores},
        gate={"fusion": 0.625},
        occlusion={"joints": OcclusionCurve(hidden_shares=(0.0, 0.6), top1={"with_pcm": (0.5, 0.25)})},
        reconstruction={},
        objects={},
        confusion_AA=np.array([[1, 0], [1, 0]]),
        per_class=[ClassScores(label="jump", precision=0.0, recall=0.0, f1=0.0, num_clips=1)],
        mistakes=[Mistake(path="b.mp4", label="jump", predicted="wave <left>", probability=0.6)],
        floors={"linear_pose": scores},
        num_floor_clips=7,
    )


def test_the_page_needs_no_other_file_and_escapes_names(report, tmp_path):
    page = write_report(report, tmp_path)[0].read_text()
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert "wave &lt;left&gt;" in page
    assert "wave <left>" not in page
    assert "2 clips evaluated, 3 missing" in page
    assert "b.mp4" in page
    assert "floor: linear pose" in page
    assert "learned from 7 of the clips" in page
    assert page.count("0.625") == 1
    assert "<th>gate</th>" in page
    assert "<th>gate</th>" not in write_report(replace(report, gate={}), tmp_path)[0].read_text()


def test_what_is_no_test_is_said_to_be_none(report, tmp_path):
    assert "No test" not in write_report(report, tmp_path)[0].read_text()
    assert "chosen by 2 of these" in write_report(replace(report, num_learned=2), tmp_path)[0].read_text()


def test_scripts_find_their_keys(report, tmp_path):
    write_report(report, tmp_path)
    values = json.loads((tmp_path / "report.json").read_text())
    keys = (
        "top1 top5 macro_precision macro_recall macro_f1 num_clips num_missing ablation floors gate occlusion"
    )
    assert set(keys.split()) <= set(values)
    assert values["top1"] == values["floors"]["linear_pose"]["top1"] == 0.5
    assert values["occlusion"]["joints"] == {"hidden_shares": [0.0, 0.6], "with_pcm": [0.5, 0.25]}


def test_figures_are_written_beside_the_page(report, tmp_path):
    names = {path.name for path in write_report(report, tmp_path)}
    assert names == {"report.html", "report.json", "confusion.png", "occlusion.png"}
    assert (tmp_path / "confusion.png").read_bytes().startswith(b"\x89PNG")
