"""A sweep is found again by what it was asked, and by nothing else."""

import dataclasses
import shutil

import pytest

from harray.config import with_overrides
from harray.errors import InputError
from harray.experiment import ExperimentConfig
from harray.tuning.config import SweepConfig
from harray.tuning.folder import SUMMARY_FILE, claimed_folder, kept_sweeps

ASKED = SweepConfig(
    store="/data/store",
    store_digest="abc",
    search="mine.py:space",
    space=("training.learning_rate: 0.001 to 0.01, log",),
)
BASE = ExperimentConfig()


def claim(out, resume, asked=ASKED, base=BASE):
    with claimed_folder(out, dataclasses.replace(asked, experiment=base, resume=resume)) as folder:
        return folder


@pytest.fixture
def out(tmp_path):
    """With one unfinished sweep."""
    claim(tmp_path, resume=False)
    return tmp_path


def other(**changes):
    return dataclasses.replace(ASKED, **changes)


@pytest.mark.parametrize(
    "asked",
    [
        ASKED,
        other(num_trials=99),
        other(max_failed=0.9),
        other(store="/moved/store"),  # the same clips
        other(search="/elsewhere/renamed.py:space"),  # the same space
    ],
    ids=["same", "more trials", "more failures", "store moved", "search file moved"],
)
def test_the_same_sweep_is_gone_on_with(out, asked):
    (kept,) = kept_sweeps(out / "sweeps")
    assert claim(out, resume=True, asked=asked) == kept
    with pytest.raises(InputError, match="the same search is unfinished; go on with it by --resume"):
        claim(out, resume=False, asked=asked)


@pytest.mark.parametrize(
    ("asked", "overrides", "said"),
    [
        (
            other(space=("training.learning_rate: 0.001 to 0.02, log",)),
            {},
            "search of training.learning_rate was",
        ),
        (
            other(space=(*ASKED.space, "model.dropout: 0 to 0.5")),
            {},
            "search of model.dropout was not there, is 0 to",
        ),
        (other(space=()), {}, "search of training.learning_rate was 0.001 to 0.01, log, is not there"),
        (other(store_digest="def"), {}, "store_digest was abc, is def"),
        (other(objective="accuracy-latency"), {}, "objective was accuracy, is accuracy-latency"),
        (ASKED, {"training.num_epochs": 7}, "training.num_epochs was 60, is 7"),
        (ASKED, {"model.mme.lags": (1, 2)}, r"model.mme.lags was \[1, 2, 4\], is \[1, 2\]"),
        (other(fixed=("training.seed",)), {"training.seed": 3}, r"training.seed was 0, is 3"),
    ],
)
def test_another_sweep_is_not_gone_on_with_and_says_how_it_differs(out, asked, overrides, said):
    (kept,) = kept_sweeps(out / "sweeps")
    base = with_overrides(BASE, overrides)
    with pytest.raises(InputError, match=rf"^--resume: no sweep under .* there are {kept.name} \(.*{said}"):
        claim(out, True, asked, base)
    assert [path.name for path in (out / "sweeps").iterdir()] == [kept.name], "nothing was begun"
    assert claim(out, False, asked, base) != kept


def test_where_nothing_is_there_is_nothing_to_go_on_with(tmp_path):
    with pytest.raises(InputError, match=r"^--resume: no sweep under .*; leave out --resume to begin one"):
        claim(tmp_path, resume=True)
    assert not (tmp_path / "sweeps").exists()
    assert claim(tmp_path, resume=None) == claim(tmp_path, resume=None)


def test_the_nearest_of_many_are_shown(out):
    for number in range(1, 7):
        claim(
            out, False, base=with_overrides(BASE, {"training.num_epochs": number, "training.batch_size": 8})
        )
    with pytest.raises(
        InputError, match=r"there are mine-\w+-1 \(training.num_epochs was 60, is 59\), .*4 others"
    ) as e:
        claim(out, True, base=with_overrides(BASE, {"training.num_epochs": 59}))
    assert len(str(e.value)) < 1000


@pytest.mark.parametrize("name", ["mine-old", "best one", "a-b-c-d", "x", "mine-00000000-7"])
def test_a_renamed_sweep_is_gone_on_with_where_it_is(out, name):
    folder = claim(out, resume=True)
    there = folder.rename(folder.with_name(name))
    assert claim(out, resume=True) == there
    assert [path.name for path in (out / "sweeps").iterdir()] == [name]


def test_a_suffix_that_somebody_added_is_no_number(out):
    folder = claim(out, resume=True)
    (folder / SUMMARY_FILE).write_text("{}")
    shutil.copytree(folder, folder.with_name(f"{folder.name}-backup"))
    second = claim(out, resume=False)
    assert second.name == f"{folder.name.rpartition('-')[0]}-2"


@pytest.mark.parametrize("content", ["", "store: [", "a: 1", "num_trials: many"])
def test_what_is_no_sweep_is_passed_over(out, content):
    folder = out / "sweeps" / "notes"
    folder.mkdir()
    (folder / "sweep.yaml").write_text(content)
    assert len(kept_sweeps(out / "sweeps")) == 1
    assert claim(out, resume=True).name != "notes"


def test_a_folder_that_is_only_begun_is_no_second_sweep(out):
    folder = claim(out, resume=True)
    (folder / "sweep.yaml").unlink()
    assert claim(out, resume=False) == folder


@pytest.mark.slow
def test_two_at_once_are_refused(out):
    with (
        claimed_folder(out, other(resume=True)),
        pytest.raises(InputError, match="another `harray tune` works on it; wait for its end"),
    ):
        claim(out, resume=True)
