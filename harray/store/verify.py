"""Verify a store: every file whole, every count right, every extracted clip there.

problems   something is lost or wrong; `harray store verify --repair` and the same `harray extract` mend it
notes      harmless: what a killed command left, features that no input refers to, clips stored twice
"""

import dataclasses
from collections import Counter
from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from harray.files import File, list_files, local_file, move, unfinished_files
from harray.schema import EXTRACTED, LEDGER, QUARANTINED
from harray.store.clips import clip_keys, num_people, shard_name, whole_videos
from harray.store.feature_store import FeatureStore
from harray.store.ledger import extracted_rows, quarantined_rows

DAMAGED_FOLDER = "damaged"
SHOWN = 5  # examples of one kind of problem


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verification:
    """What `verify` found; inputs = extracted + quarantined."""

    num_inputs: int
    num_extracted: int
    num_quarantined: int
    num_clips: int  # distinct clips that were read and are whole
    problems: list[str]
    notes: list[str]
    damaged: list[str]  # files that cannot be used, relative to the store


def verify(store: FeatureStore) -> Verification:
    """Read every file of a store to the last byte, checksums included, and compare what they say.

    Raises:
        InputError: the settings cannot be read.
    """
    problems: list[str] = []
    damaged: list[str] = []
    ledger = _ledger(store, problems, damaged)  # first: a writer writes the clips before their ledger rows
    features = _clips(store, problems, damaged)
    problems += _ledger_problems(ledger)
    extracted = extracted_rows(ledger)
    there, used = set(whole_videos(features).clip_ids.to_pylist()), set(extracted["clip_id"].to_pylist())
    lost = [row["path"] for row in extracted.to_pylist() if row["clip_id"] not in there]
    problems += _listed("extracted inputs without features", lost)
    return Verification(
        num_inputs=len(ledger),
        num_extracted=len(extracted),
        num_quarantined=len(quarantined_rows(ledger)),
        num_clips=len(set(clip_keys(features))),
        problems=problems,
        notes=[*_notes(store, features, used), *_contradictions(extracted)],
        damaged=damaged,
    )


def move_damaged(store: FeatureStore, verification: Verification) -> list[str]:
    """Move files that cannot be used to STORE/damaged; the same extraction then restores what was in them."""
    for name in verification.damaged:
        move(store.path / name, store.path / DAMAGED_FOLDER / name.replace("/", "-"))
    return verification.damaged


def _clips(store: FeatureStore, problems: list[str], damaged: list[str]) -> pa.Table:
    """Key columns of every shard that is whole; the others are written down."""
    keys = [store.schema.field(name) for name in ("clip_id", "span", "is_last")]
    tables = [pa.schema(keys).empty_table()]
    for file in list_files(store.path / "clips", ".parquet"):
        if wrong := _shard_problem(file, store.schema):
            problems.append(f"clips/{file.name}: {wrong}")
            damaged.append(f"clips/{file.name}")
        else:
            tables.append(
                pq.read_table(local_file(file), columns=[field.name for field in keys]).cast(pa.schema(keys))
            )
    return pa.concat_tables(tables)


def _shard_problem(file: File, schema: pa.Schema) -> str | None:
    copy = local_file(file)
    try:
        table = pq.read_table(copy, page_checksum_verification=True)
    except FileNotFoundError:
        raise  # compaction has put it into a larger one
    except (OSError, pa.ArrowException) as error:
        return f"cannot be read ({str(error).splitlines()[0]})"
    if not table.schema.equals(schema):
        return "other columns than the store's"
    if shard_name(table) != file.name:
        return "holds other clips than its name says"
    keypoints = table["keypoints"].combine_chunks().to_numpy_ndarray()
    if not np.isfinite(keypoints).all():
        return "keypoints that are not finite"
    if keypoints[..., -1].min(initial=0) < 0 or keypoints[..., -1].max(initial=0) > 1:
        return "confidence outside [0, 1]"
    if [num_people(clip) for clip in keypoints] != table["num_people"].to_pylist():
        return "num_people is not what the keypoints say"
    return None


def _ledger(store: FeatureStore, problems: list[str], damaged: list[str]) -> pa.Table:
    for file in list_files(store.path / "ledger", ".parquet"):
        copy = local_file(file)
        try:
            pq.read_table(copy, schema=LEDGER, page_checksum_verification=True)
        except FileNotFoundError:
            raise
        except (OSError, pa.ArrowException) as error:
            problems.append(f"ledger/{file.name}: cannot be read ({str(error).splitlines()[0]})")
            damaged.append(f"ledger/{file.name}")
    return store.ledger(without=set(damaged))


def _ledger_problems(ledger: pa.Table) -> list[str]:
    status, path = pc.field("status"), ledger["path"]
    known = ledger.filter(status.isin([EXTRACTED, QUARANTINED]))
    unnamed = extracted_rows(ledger).filter(pc.field("clip_id").is_null())
    unexplained = quarantined_rows(ledger).filter(pc.field("stage").is_null() | pc.field("error").is_null())
    strange = sorted(set(path.to_pylist()) - set(known["path"].to_pylist()))
    return [
        *_listed("inputs that are neither extracted nor quarantined", strange),
        *_listed("extracted inputs without a clip_id", unnamed["path"].to_pylist()),
        *_listed("quarantined inputs without a reason", unexplained["path"].to_pylist()),
    ]


def _notes(store: FeatureStore, features: pa.Table, used: set[str]) -> list[str]:
    keys = clip_keys(features)
    doubles = [f"{clip_id} {span}" for (clip_id, span), count in Counter(keys).items() if count > 1]
    orphans = sorted({clip_id for clip_id, _ in keys} - used)
    parts = [f"{file.parent.name}/{file.name}" for file in unfinished_files(store.path)]
    return [
        *_listed("unfinished files", parts),
        *_listed("clips that no input refers to", orphans),
        *_listed("clips stored twice", doubles),
    ]


def _contradictions(extracted: pa.Table) -> list[str]:
    """Clips under several paths that these label or split differently: one may be trained on and tested."""
    said: dict[str, set[str]] = {}
    for row in extracted.select(["clip_id", "label", "splits"]).to_pylist():
        said.setdefault(row["clip_id"], set()).add(repr((row["label"], row["splits"])))
    return _listed(
        "clips under several paths with different labels or splits",
        [str(clip_id) for clip_id, ways in said.items() if len(ways) > 1],
    )


def _listed(what: str, names: Iterable[str]) -> list[str]:
    names = list(names)
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return [f"{len(names)} {what}: {', '.join(names[:SHOWN])}{more}"] if names else []
