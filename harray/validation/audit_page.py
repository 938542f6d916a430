"""An audit as files: one HTML page with pictures of the worst, and csv files of what to drop and to relabel."""

import csv
from collections.abc import Iterable
from pathlib import Path

from harray.features.config import FeaturesConfig
from harray.store import FeatureStore
from harray.validation.audit import Audit
from harray.validation.pictures import clip_pictures

NUM_SHOWN = 20  # findings of a chapter with pictures
NUM_LISTED = 200  # findings of a chapter in all
PAGE_FILE, DROP_FILE, RELABEL_FILE = "audit.html", "drop.csv", "relabel.csv"


def write_audit(found: Audit, store: FeatureStore, folder: Path) -> dict[str, Path]:
    """Write the page, and the csv files where there is something to drop or relabel; name -> path."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {"page": folder / PAGE_FILE}
    files["page"].write_text(_render(found, store))
    for name, file, rows in (
        ("drop", DROP_FILE, [("path", "reason"), *found.drop.items()]),
        (
            "relabel",
            RELABEL_FILE,
            [("path", "label", "reason"), *((path, *what) for path, what in found.relabel.items())],
        ),
    ):
        (folder / file).unlink(missing_ok=True)
        if len(rows) > 1:
            files[name] = folder / file
            _write(files[name], rows)
    return files


def _write(file: Path, rows: Iterable[tuple[str, ...]]) -> None:
    with file.open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)


def _render(found: Audit, store: FeatureStore) -> str:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    wanted = [
        path
        for chapter in found.chapters
        for finding in chapter.findings[:NUM_SHOWN]
        if finding.shown
        for path in finding.paths
    ]
    return environment.get_template("audit.html.jinja").render(
        found=found,
        pictures=clip_pictures(store, wanted, FeaturesConfig().min_confidence),
        num_shown=NUM_SHOWN,
        num_listed=NUM_LISTED,
    )
