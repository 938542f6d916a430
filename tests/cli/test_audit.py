"""`harray audit` on one screen, and refusals of `harray promote` that need no model."""

import pytest

from tests.toys import arm_store

KEYS = {"store", "num_clips", "findings", "clips", "num_drop", "num_relabel", "page", "drop", "relabel"}


def test_an_audit_fits_on_a_screen_and_names_its_files(tmp_path, harray):
    rows = [{"path": f"/{n:02}.mp4", "splits": ["test" if n % 4 == 3 else "train"]} for n in range(24)]
    rows = [row | {"group": f"g{n // 4}"} for n, row in enumerate(rows)]
    store = arm_store(tmp_path / "store", rows)
    ending = harray("audit", store.path, "--out", tmp_path / "out")
    assert ending.code == 0
    lines = ending.out.splitlines()
    assert len(lines) <= 24 and lines[0] == "24 clips, 2 classes, 6 groups; test 6, train 18"
    assert "groups across splits: 6 (6 clips)" in lines
    assert "  group g0: 1 clips in test, 3 in train: 03.mp4" in lines
    said = harray("audit", store.path, "--out", tmp_path / "out", "--json").json
    assert set(said) >= KEYS and said["findings"]["groups across splits"] == 6
    assert (tmp_path / "out" / "audits").is_dir()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--dry-run"], "--dry-run: nothing is compared without --gate; add --gate better"),
        (["--min-occluded", "0.9"], "--min-occluded: nothing is compared without --gate"),
        (["--gate", "best"], "--gate best: expected better or not-worse"),
    ],
)
def test_a_promotion_that_cannot_be_meant_so_is_refused(tmp_path, harray, words, line):
    ending = harray("promote", "actions", "2", *words, "--out", tmp_path)
    assert ending.code == 2 and line in ending.err
