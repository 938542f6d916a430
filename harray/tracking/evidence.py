"""A promotion's evidence in MLflow: the page as an artifact of the challenger's run, tags and card of its version."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harray.tracking.cards import GATE, write_section
from harray.tracking.location import connect
from harray.tracking.runs import recording
from harray.tracking.versions import VERDICT_TAG

REASONS_TAG, AGAINST_TAG, DIFFERENCE_TAG, EVIDENCE_TAG = (
    f"harray.gate.{name}" for name in ("reasons", "against", "difference", "evidence")
)
MOST_CHARS = 5000  # of a tag


def record_verdict(
    uri: str, name: str, version: int, run_id: str | None, data: Mapping[str, Any], folder: Path | None
) -> str:
    """Record what came of a comparison; where MLflow has its files, or an empty text where the run is not known.

    Args:
        data: of `evidence_json`.
        folder: of the page and its data; None where they are recorded already.

    Raises:
        NotRecorded: the run was deleted, or the store does not take them.
    """
    with recording(uri, run_id or ""):
        client = connect(uri)
        number = str(version)
        evidence = client.get_model_version(name, number).tags.get(EVIDENCE_TAG, "")
        if run_id and folder is not None:
            evidence = f"runs:/{run_id}/promotion/{folder.name}"
            client.log_artifacts(run_id, str(folder), f"promotion/{folder.name}")
        overall = data["overall"]
        tags = {
            VERDICT_TAG: data["verdict"],
            REASONS_TAG: "; ".join(data["reasons"])[:MOST_CHARS],
            AGAINST_TAG: str(data["champion"]),
            DIFFERENCE_TAG: f"{overall['difference']:+.4f} ({overall['low']:+.4f} to {overall['high']:+.4f})",
            EVIDENCE_TAG: evidence,
        }
        for key, value in tags.items():
            client.set_model_version_tag(name, number, key, value)
        slices = {"all": overall, **data["slices"]}
        card = {
            "verdict": data["verdict"],
            "reasons": data["reasons"],
            "evidence": evidence or "not recorded",
            "slices": [
                [part, values["num_clips"], values["challenger"], values["champion"]]
                for part, values in slices.items()
            ],
        }
        write_section(client, name, number, GATE, card)
    return evidence
