"""Corrections of a manifest that stand in csv files, as `harray audit` proposes them: clips to drop, other labels."""

import csv
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from harray.errors import InputError
from harray.schema import MANIFEST


@dataclass(frozen=True, kw_only=True)
class Corrections:
    """What to change."""

    drop: Collection[str] = ()  # paths
    relabel: Mapping[str, str] = field(default_factory=dict)  # path -> label

    @classmethod
    def read(cls, drop: Path | None, relabel: Path | None) -> "Corrections":
        """From csv files with the columns `path`, and `path` and `label`; others are for people.

        Raises:
            InputError: no such file, a column that lacks, or an empty field.
        """
        dropped = [] if drop is None else _columns(drop, ["path"])
        labels = [] if relabel is None else _columns(relabel, ["path", "label"])
        return cls(
            drop=frozenset(values["path"] for values in dropped),
            relabel={values["path"]: values["label"] for values in labels},
        )

    def applied(self, manifest: pa.Table) -> tuple[pa.Table, str]:
        """The manifest so corrected, and what was done in a line; empty where nothing was to do."""
        if not self.drop and not self.relabel:
            return manifest, ""
        labels = self.relabel
        rows = manifest.to_pylist()
        kept = [
            row | {"label": labels.get(row["path"], row["label"])}
            for row in rows
            if row["path"] not in self.drop
        ]
        before = {row["path"]: row["label"] for row in rows}
        num_changed = sum(row["label"] != before[row["path"]] for row in kept)
        strange = {*self.drop, *labels} - before.keys()
        said = []
        if self.drop:
            said.append(f"{len(rows) - len(kept)} videos dropped")
        if labels:
            said.append(f"{num_changed} relabelled")
        if strange:
            said.append(f"{len(strange)} paths are not among the videos, such as {min(strange)}")
        return pa.Table.from_pylist(kept, schema=MANIFEST), "; ".join(said)


def _columns(file: Path, names: list[str]) -> list[dict[str, str]]:
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            rows = list(reader)
            absent = [name for name in names if name not in (reader.fieldnames or [])]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"{file}: cannot be read as csv ({error}); expected the columns {','.join(names)}"
        ) from error
    if absent:
        raise InputError(f"{file}: no column {absent[0]}; expected the columns {','.join(names)}")
    values = [{name: (row[name] or "").strip() for name in names} for row in rows]
    for number, of_row in enumerate(values, start=2):
        if not all(of_row.values()):
            raise InputError(f"{file}:{number}: an empty field; every line needs {' and '.join(names)}")
    return values
