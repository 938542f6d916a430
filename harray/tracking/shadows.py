"""The record of a model that ran in another one's shadow: how often they disagreed, over time."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from harray.tracking.location import connect
from harray.tracking.runs import EXPERIMENT, experiment_id, origin_tags, recording

if TYPE_CHECKING:
    from mlflow import MlflowClient

SERVED_TAG, SHADOW_TAG = "harray.served", "harray.shadow"


@dataclass
class ShadowRun:
    """One MLflow run for a pair of models; its newest metrics are the sums so far."""

    client: "MlflowClient"
    uri: str
    run_id: str
    step: int = 0

    @classmethod
    def begin(cls, uri: str, served: str, shadow: str) -> Self:
        """A new run.

        Raises:
            NotRecorded: the tracking store does not take it.
        """
        with recording(uri):
            client = connect(uri)
            tags = {**origin_tags(), SERVED_TAG: served, SHADOW_TAG: shadow}
            name = f"shadow {shadow.removeprefix('models:/')}"
            run = client.create_run(experiment_id(client, uri, EXPERIMENT), tags=tags, run_name=name)
            return cls(client, uri, run.info.run_id)

    def log(self, metrics: Mapping[str, float]) -> None:
        """Add the sums of this moment.

        Raises:
            NotRecorded: as `begin`.
        """
        from mlflow.entities import Metric

        now_ms = time.time_ns() // 1_000_000
        with recording(self.uri, self.run_id):
            rows = [Metric(name, value, now_ms, self.step) for name, value in metrics.items()]
            self.client.log_batch(self.run_id, metrics=rows)
        self.step += 1

    def end(self) -> None:
        """The server stops."""
        with recording(self.uri, self.run_id):
            self.client.set_terminated(self.run_id, status="FINISHED")
