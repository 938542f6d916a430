import pytest

from harray.distributed.extraction_plan import PlannedStep, moved_rows, next_step, plan_extraction
from harray.schema import EXTRACTED, MOVED, QUARANTINED
from harray.store.ledger import latest_rows, ledger_table
from harray.videos.sources import manifest_table

ROW = {"path": "/a", "label": "run", "group": None, "dataset": None, "splits": ["train"]}
GOOD = {**ROW, "clip_id": "c", "status": EXTRACTED, "num_bytes": 5, "modified_ns": 7, "attempts": 1}
BAD = {**GOOD, "status": QUARANTINED}
MISSING = {**BAD, "clip_id": None, "num_bytes": None, "modified_ns": None}


@pytest.mark.parametrize(
    ("row", "before", "stamp", "clip_ids", "step"),
    [
        (ROW, None, (5, 7), set(), PlannedStep.EXTRACT),  # new
        (ROW, GOOD, (5, 7), {"c"}, PlannedStep.KEEP),
        (ROW, GOOD, (5, 8), {"c"}, PlannedStep.EXTRACT),  # changed: its bytes decide
        (ROW, GOOD, None, {"c"}, PlannedStep.KEEP),  # the video is gone, its features are here
        (ROW, GOOD, (5, 7), set(), PlannedStep.EXTRACT),  # its features are gone
        (ROW, BAD, (5, 7), set(), PlannedStep.KEEP),  # the same bytes fail again
        (ROW, BAD, (6, 7), set(), PlannedStep.EXTRACT),  # repaired
        (ROW, BAD, None, set(), PlannedStep.EXTRACT),  # gone since: another reason
        (ROW, MISSING, None, set(), PlannedStep.KEEP),
        (ROW, MISSING, (5, 7), set(), PlannedStep.EXTRACT),  # there now
        ({**ROW, "label": "sit"}, GOOD, (5, 7), {"c"}, PlannedStep.RELABEL),
        ({**ROW, "splits": ["test"]}, GOOD, None, {"c"}, PlannedStep.RELABEL),
        ({**ROW, "group": "g"}, BAD, (5, 7), set(), PlannedStep.RELABEL),
        ({**ROW, "label": "sit"}, GOOD, (5, 8), {"c"}, PlannedStep.EXTRACT),
    ],
)
def test_every_input_gets_the_step_that_its_history_asks_for(row, before, stamp, clip_ids, step):
    assert next_step(row, before, stamp, clip_ids) is step


def test_a_plan_accounts_for_every_row():
    manifest = manifest_table(
        [{**ROW, "path": path} for path in ("/new", "/good", "/bad", "/moved", "/renamed")]
    )
    rows = [{**GOOD, "path": path} for path in ("/good", "/moved", "/elsewhere")] + [{**BAD, "path": "/bad"}]
    rows.append({**GOOD, "path": "/renamed", "label": "old"})
    stamps = {"/new": (1, 1), "/good": (5, 7), "/bad": (5, 7), "/moved": (5, 9), "/renamed": (5, 7)}
    plan = plan_extraction(manifest, latest_rows(ledger_table(rows)), {"c"}, stamps.get)
    assert [(row["path"], row["attempts"]) for row in plan.todo.to_pylist()] == [("/moved", 1), ("/new", 0)]
    assert plan.kept == {EXTRACTED: 2, QUARANTINED: 1}
    assert plan.num_kept + len(plan.todo) == len(manifest)
    [relabelled] = ledger_table(plan.relabelled).to_pylist()
    assert (relabelled["path"], relabelled["label"], relabelled["clip_id"]) == ("/renamed", "run", "c")


@pytest.mark.parametrize(("retry", "todo"), [(False, []), (True, ["/bad"])])
def test_what_was_quarantined_is_taken_again_only_when_it_is_asked_for(retry, todo):
    ledger = ledger_table([{**BAD, "path": "/bad"}, {**GOOD, "path": "/good"}])
    manifest = manifest_table([{**ROW, "path": path} for path in ("/bad", "/good")])
    plan = plan_extraction(manifest, ledger, {"c"}, lambda path: (5, 7), retry)
    assert plan.todo["path"].to_pylist() == todo
    assert plan.num_kept + len(plan.todo) == 2


def test_a_path_whose_file_came_back_under_another_one_is_retired():
    paths = ["/old/a", "/new/a", "/copy/a", "/old/b"]
    clip_ids = ["a", "a", "a", "b"]
    rows = [{**GOOD, "path": path, "clip_id": clip} for path, clip in zip(paths, clip_ids, strict=True)]
    manifest = manifest_table([{**ROW, "path": "/new/a"}])
    stamps = {"/new/a": (5, 7), "/copy/a": (5, 7)}
    [retired] = moved_rows(ledger_table(rows), manifest, stamps.get)
    assert (retired["path"], retired["status"]) == (
        "/old/a",
        MOVED,
    )  # /copy/a is still there, /old/b came nowhere back
