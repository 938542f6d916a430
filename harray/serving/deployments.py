"""The application on Ray Serve: an ingress, and the networks behind it.

`application` is what `serve deploy` imports (deploy/serve-config.yaml); `harray serve` runs the same.
"""

import asyncio
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from ray import serve
from ray.exceptions import RayActorError, RayTaskError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError
from ray.serve.handle import DeploymentHandle

from harray.config import from_dict, to_dict
from harray.errors import InputError
from harray.inference.predictor import Prediction
from harray.live.networks import SeenFrame
from harray.live.windows import Window
from harray.serving.config import AUTO, ServingConfig
from harray.serving.hub import Hub, Unavailable
from harray.serving.networks import Facts, FrameJob, ModelPool
from harray.serving.protocol import Malformed

FRAMES_AT_ONCE, UPLOADS_AT_ONCE = 8, 2
ANSWER_SEC = 20.0  # for frames and decisions; a replica that starts anew has that long
VIDEO_SEC = 300.0
RETRY_SEC = 0.5
TOKEN_VARIABLE = "HARRAY_TOKEN"
AWAY = (RayActorError, DeploymentUnavailableError, BackPressureError, TimeoutError)


@serve.deployment(
    name="Networks",
    max_ongoing_requests=64,
    health_check_period_s=5,
    graceful_shutdown_timeout_s=5,
    ray_actor_options={"num_cpus": 1},
)
class NetworksReplica:
    """Networks of one process; the calculation runs in threads, so that the replica goes on answering."""

    def __init__(self, config: dict[str, Any], num_threads: int | None = None):
        self.pool = ModelPool(serving_config(config), num_threads)
        self.uploads = ThreadPoolExecutor(UPLOADS_AT_ONCE)  # of their own: frames do not wait for videos

    async def load(self, name: str) -> Facts:
        return await asyncio.to_thread(self.pool.load, name)

    @serve.batch(max_batch_size=FRAMES_AT_ONCE, batch_wait_timeout_s=0.0)
    async def see(self, jobs: list[FrameJob]) -> list[SeenFrame | Malformed]:
        return await asyncio.to_thread(self.pool.see, jobs)

    @serve.batch(max_batch_size=FRAMES_AT_ONCE, batch_wait_timeout_s=0.0)
    async def decide(self, jobs: list[tuple[str, list[Window]]]) -> list[list[Prediction]]:
        return await asyncio.to_thread(self.pool.decide_all, jobs)

    async def pose_network(self, name: str) -> bytes:
        return await asyncio.to_thread(self.pool.pose_network, name)

    async def predict_video(self, name: str, content: bytes) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.uploads, self.pool.predict_video, name, content)

    async def predict_keypoints(
        self, name: str, keypoints_PTKC1: np.ndarray, height_px: int, width_px: int
    ) -> dict[str, Any]:
        return await asyncio.to_thread(
            self.pool.predict_keypoints, name, keypoints_PTKC1, height_px, width_px
        )


class RemoteNetworks:
    """`hub.Networks` over a handle. What a replica had when it died is asked once more, of another."""

    def __init__(self, handle: DeploymentHandle):
        self._handle = handle

    async def load(self, name: str) -> Facts:
        """Ready a model in every replica that there is; one that starts later loads it when it is first asked."""
        facts = await self._ask("load", name, within_sec=VIDEO_SEC)
        await asyncio.wait_for(_all(self._handle.broadcast("load", name)), VIDEO_SEC)
        return facts

    async def see(self, job: FrameJob) -> SeenFrame | Malformed:
        return await self._ask("see", job, within_sec=ANSWER_SEC)

    async def decide(self, name: str, windows: Sequence[Window]) -> list[Prediction]:
        predictions = await self._ask("decide", (name, list(windows)), within_sec=ANSWER_SEC)
        if len(predictions) != len(windows):
            raise Unavailable(f"{name} could not decide")
        return predictions

    async def pose_network(self, name: str) -> bytes:
        return await self._ask("pose_network", name, within_sec=VIDEO_SEC)

    async def predict_video(self, name: str, content: bytes) -> dict[str, Any]:
        return await self._ask("predict_video", name, content, within_sec=VIDEO_SEC)

    async def predict_keypoints(
        self, name: str, keypoints_PTKC1: np.ndarray, height_px: int, width_px: int
    ) -> dict[str, Any]:
        return await self._ask(
            "predict_keypoints", name, keypoints_PTKC1, height_px, width_px, within_sec=ANSWER_SEC
        )

    async def _ask(self, method: str, *arguments: Any, within_sec: float) -> Any:
        for attempt in (1, 2):
            try:
                return await asyncio.wait_for(getattr(self._handle, method).remote(*arguments), within_sec)
            except AWAY as error:
                if attempt == 2:
                    raise Unavailable("the networks are being started anew; try again in a moment") from error
                await asyncio.sleep(RETRY_SEC)
            except RayTaskError as error:
                if isinstance(error.cause, InputError):
                    raise InputError(str(error.cause)) from error
                raise Unavailable(
                    "the networks failed on this; it was written to the server's log"
                ) from error
        raise AssertionError


async def _all(responses: Any) -> None:
    await asyncio.to_thread(responses.results)


@serve.deployment(
    name="Ingress",
    max_ongoing_requests=256,  # every open socket is one
    health_check_period_s=5,
    graceful_shutdown_timeout_s=5,
    ray_actor_options={"num_cpus": 0},
)
@serve.ingress()
class Ingress:
    """The web application; sockets and their streams live here."""

    def __init__(self, config: dict[str, Any], networks: DeploymentHandle):
        self.hub = Hub(serving_config(config), RemoteNetworks(networks))

    def __serve_build_asgi_app__(self) -> Any:  # Ray Serve's name for it
        from harray.serving.web import web_application

        return web_application(self.hub)


def serving_config(values: dict[str, Any]) -> ServingConfig:
    return from_dict(ServingConfig, values)


def application_of(
    config: ServingConfig, max_replicas: int, num_gpus: float = 0.0, num_threads: int | None = None
) -> serve.Application:
    """The Serve application of a config.

    Args:
        max_replicas: of the networks, where there may be as many as there is work for.
        num_gpus: of each of those replicas.
        num_threads: of each, on a CPU; None for as many as the node has cores.
    """
    options: dict[str, Any] = {"ray_actor_options": {"num_cpus": 1, "num_gpus": num_gpus}}
    if config.replicas == AUTO:
        options["autoscaling_config"] = {
            "min_replicas": 1,
            "max_replicas": max(1, max_replicas),
            "target_ongoing_requests": FRAMES_AT_ONCE / 2,
            "upscale_delay_s": 5.0,
            "downscale_delay_s": 60.0,
        }
    else:
        options["num_replicas"] = int(config.replicas)
    values = to_dict(config)
    networks = NetworksReplica.options(**options).bind(values, num_threads)
    return Ingress.bind(values, networks)


def application(arguments: dict[str, Any]) -> serve.Application:
    """For a Serve config file: `import_path: harray.serving.deployments:application`, with `args` of `ServingConfig`.

    The token comes from the environment variable HARRAY_TOKEN, since a cluster listens to everyone who reaches it.
    Replicas are as the file's `deployments` say.

    Raises:
        InputError: no token, no model, or an argument that is none.
    """
    token = os.environ.get(TOKEN_VARIABLE)
    if not token:
        raise InputError(
            f"{TOKEN_VARIABLE} is not set; on a cluster guests must know a token: set it in the runtime_env's env_vars"
        )
    if not arguments.get("model"):
        raise InputError("args: found no model, expected such as model: models:/actions@champion")
    tracking_uri = arguments.get("tracking_uri") or os.environ.get("MLFLOW_TRACKING_URI", "")
    if arguments["model"].startswith(("models:/", "runs:/")) and not tracking_uri:
        raise InputError(
            f"{arguments['model']}: found no registry; set MLFLOW_TRACKING_URI, or args.tracking_uri"
        )
    values = {**arguments, "token": token, "tracking_uri": tracking_uri}
    config = from_dict(ServingConfig, values)
    return application_of(config, max_replicas=1)
