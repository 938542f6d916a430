"""One look at a store before a week of training."""

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harray.api.session import working
from harray.api.stores import Store, as_store
from harray.files import Place
from harray.names import short_name
from harray.reporting import Reporter
from harray.validation.audit import NUM_STEPS, Audit
from harray.validation.audit import audit as look_at
from harray.validation.audit_page import write_audit
from harray.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class Audited:
    """What was found, and the files that say so."""

    found: Audit
    page: Path
    drop: Path | None  # csv of clips to drop; None where there is none
    relabel: Path | None

    def to_json(self) -> dict[str, Any]:
        files = {"page": self.page, "drop": self.drop, "relabel": self.relabel}
        return self.found.to_json() | {
            name: None if path is None else str(path) for name, path in files.items()
        }


def audit(
    store: str | Place | Store, workspace: Workspace | None = None, reporter: Reporter | None = None
) -> Audited:
    """Find doubles, leaks, doubtful labels, empty and odd clips; nothing is changed.

    Raises:
        InputError: no store, or no clips in it.
    """
    opened = as_store(store).features
    with working(workspace, reporter) as (place, told), told.progress("looking", "steps") as update:
        steps = itertools.count()
        found = look_at(opened, lambda note: update(next(steps), NUM_STEPS + 1, note))
        update(next(steps), NUM_STEPS + 1, "pictures")
        folder = place.out / "audits" / short_name(f"{opened.path.name}-{found.store_digest[:8]}")
        files = write_audit(found, opened, folder)
    return Audited(found=found, page=files["page"], drop=files.get("drop"), relabel=files.get("relabel"))
