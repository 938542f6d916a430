import pytest

from harray.distributed.extraction_plan import moved_rows, plan_extraction
from harray.schema import EXTRACTED, MOVED, QUARANTINED
from harray.store.ledger import latest_rows, ledger_table
from harray.videos.sources import manifest_table

EXTRACT, KEEP, RELABEL = (1, 0, 0), (0, 1, 0), (0, 1, 1)  # rows to do, kept, and written anew
ROW = {"path": "/a", "label": "run", "group": None, "dataset": None, "splits": ["train"]}
GOOD = {**ROW, "clip_id": "c", "status": EXTRACTED, "num_bytes": 5, "modified_ns": 7, "attempts": 1}
BAD = {**GOOD, "status": QUARANTINED}
MISSING = {**BAD, "clip_id": None, "num_bytes": None, "modified_ns": None}


def stamps_in(stamps):
    return lambda paths: [stamps.get(path) for path in paths]


@pytest.mark.parametrize(
    ("row", "before", "stamp", "clip_ids", "step"),
    [
        (ROW, None, (5, 7), set(), EXTRACT),  # new
        (ROW, GOOD, (5, 7), {"c"}, KEEP),
        (ROW, GOOD, (5, 8), {"c"}, EXTRACT),  # changed: its bytes decide
        (ROW, GOOD, None, {"c"}, KEEP),  # the video is gone, its features are here
        (ROW, GOOD, (5, 7), set(), EXTRACT),  # its features are gone
        (ROW, BAD, (5, 7), set(), KEEP),  # the same bytes fail again
        (ROW, BAD, (6, 7), set(), EXTRACT),  # repaired
        (ROW, BAD, None, set(), EXTRACT),  # gone since: another reason
        (ROW, MISSING, None, set(), KEEP),
        (ROW, MISSING, (5, 7), set(), EXTRACT),  # there now
        ({**ROW, "label": "sit"}, GOOD, (5, 7), {"c"}, RELABEL),
        ({**ROW, "splits": ["test"]}, GOOD, None, {"c"}, RELABEL),
        ({**ROW, "group": "g"}, BAD, (5, 7), set(), RELABEL),
        ({**ROW, "label": "sit"}, GOOD, (5, 8), {"c"}, EXTRACT),
    ],
)
def test_every_input_gets_the_step_that_its_history_asks_for(row, before, stamp, clip_ids, step):
    ledger = ledger_table([] if before is None else [before])
    plan = plan_extraction(manifest_table([row]), ledger, clip_ids, stamps_in({"/a": stamp}))
    assert (len(plan.todo), plan.num_kept, len(plan.relabelled)) == step


def test_a_plan_accounts_for_every_row():
    manifest = manifest_table(
        [{**ROW, "path": path} for path in ("/new", "/good", "/bad", "/moved", "/renamed")]
    )
    rows = [{**GOOD, "path": path} for path in ("/good", "/moved", "/elsewhere")] + [{**BAD, "path": "/bad"}]
    rows.append({**GOOD, "path": "/renamed", "label": "old"})
    stamps = {"/new": (1, 1), "/good": (5, 7), "/bad": (5, 7), "/moved": (5, 9), "/renamed": (5, 7)}
    plan = plan_extraction(manifest, latest_rows(ledger_table(rows)), {"c"}, stamps_in(stamps))
    assert [(row["path"], row["attempts"]) for row in plan.todo.to_pylist()] == [("/moved", 1), ("/new", 0)]
    assert plan.kept == {EXTRACTED: 2, QUARANTINED: 1}
    assert plan.num_kept + len(plan.todo) == len(manifest)
    [relabelled] = plan.relabelled.to_pylist()
    assert (relabelled["path"], relabelled["label"], relabelled["clip_id"]) == ("/renamed", "run", "c")


@pytest.mark.parametrize(("retry", "todo"), [(False, []), (True, ["/bad"])])
def test_what_was_quarantined_is_taken_again_only_when_it_is_asked_for(retry, todo):
    ledger = ledger_table([{**BAD, "path": "/bad"}, {**GOOD, "path": "/good"}])
    manifest = manifest_table([{**ROW, "path": path} for path in ("/bad", "/good")])
    plan = plan_extraction(manifest, ledger, {"c"}, lambda paths: [(5, 7)] * len(paths), retry)
    assert plan.todo["path"].to_pylist() == todo
    assert plan.num_kept + len(plan.todo) == 2


def test_a_path_whose_file_came_back_under_another_one_is_retired():
    paths = ["/old/a", "/new/a", "/copy/a", "/old/b"]
    clip_ids = ["a", "a", "a", "b"]
    rows = [{**GOOD, "path": path, "clip_id": clip} for path, clip in zip(paths, clip_ids, strict=True)]
    manifest = manifest_table([{**ROW, "path": "/new/a"}])
    stamps = {"/new/a": (5, 7), "/copy/a": (5, 7)}
    [retired] = moved_rows(ledger_table(rows), manifest, stamps_in(stamps)).to_pylist()
    assert (retired["path"], retired["status"]) == (
        "/old/a",
        MOVED,
    )  # /copy/a is still there, /old/b came nowhere back
