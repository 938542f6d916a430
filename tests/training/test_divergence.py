"""A loss that is no number ends a training, whoever runs it, and nothing of it is kept."""

import contextlib
import math

import pytest

from harray.api.train import train_recorded
from harray.config import with_overrides
from harray.recipes import recipe_named
from harray.tracking.location import connect
from harray.training.divergence import Diverged, check_finite
from harray.workspace import Workspace
from tests.toys import LEARNS_AT_ONCE, TINY, tiny_store


@pytest.mark.parametrize(
    ("losses", "val_loss", "wrong"),
    [
        ({"total": 1.0}, 0.5, None),
        ({"total": 1.0}, None, None),
        ({"total": math.nan}, 0.5, "total"),
        ({"total": 1.0}, math.inf, "val"),
        ({"total": -math.inf}, None, "total"),
        ({"total": 1.0, "completion": math.nan}, math.nan, "completion, val"),
    ],
)
def test_an_epoch_whose_loss_is_no_number_is_refused(losses, val_loss, wrong):
    refused = pytest.raises(Diverged, match=rf"NaN: the loss of epoch 3 is not a finite number \({wrong}\)")
    with refused if wrong else contextlib.nullcontext():
        check_finite(3, {**losses, "val": val_loss})


@pytest.mark.slow
@pytest.mark.parametrize("splits", [("train", "val"), ("train",)], ids=["with val", "val carved"])
def test_train_stops_registers_nothing_and_its_run_failed(tmp_path, splits):
    changes = {**TINY, **LEARNS_AT_ONCE, "training.learning_rate": 1e38, "training.max_grad_norm": 1e38}
    experiment = with_overrides(recipe_named("default"), changes)
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    with pytest.raises(Diverged, match="NaN: the loss of epoch 1 "):
        train_recorded(
            tiny_store(tmp_path / "store", splits=splits),
            experiment,
            Workspace(tmp_path / "out", uri),
            register="m",
        )
    client = connect(uri)
    (run,) = client.search_runs([client.get_experiment_by_name("harray").experiment_id])
    assert run.info.status == "FAILED"
    assert "NaN" in run.data.tags["harray.error"]
    assert client.search_registered_models() == []
