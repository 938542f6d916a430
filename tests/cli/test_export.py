"""`harray export`, and `harray bench gpu` where there is no GPU."""

import json

import pytest

from tests.toys import untrained_checkpoint


@pytest.mark.slow
def test_export_writes_a_folder_and_says_how_far_it_is_from_torch(harray, tmp_path):
    checkpoint = untrained_checkpoint(tmp_path / "checkpoint")
    ending = harray("export", checkpoint, "--to", tmp_path / "there", "--out", tmp_path / "out", "--json")
    assert ending.code == 0
    assert ending.json["max_difference"] < 1e-3 and ending.json["times_torch"] > 0
    assert sorted(path.name for path in (tmp_path / "there").iterdir()) == ending.json["files"]
    assert json.loads((tmp_path / "there" / "model.json").read_text())["classes"] == ["run", "sit", "wave"]


def test_export_of_nothing_is_refused(harray, tmp_path):
    ending = harray("export", tmp_path / "nothing", "--out", tmp_path)
    assert ending.code == 2 and "no such folder" in ending.err


def test_bench_gpu_says_in_one_line_that_there_is_no_gpu(harray, tmp_path):
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    ending = harray("bench", "gpu", "--out", tmp_path)
    assert ending.code == 2
    assert "needs a GPU, and torch finds none" in ending.err.splitlines()[-1]
