"""A model on the network, for as long as it is wanted."""

import contextlib
import threading
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

from harray.api.session import working
from harray.reporting import Reporter
from harray.serving.browser_poses import runtime_files
from harray.serving.config import Address, ServingConfig
from harray.serving.server import check_address, running
from harray.tracking.location import tracking_uri
from harray.tracking.registry import resolve_model
from harray.workspace import Workspace


@contextlib.contextmanager
def served(
    config: ServingConfig,
    address: Address | None = None,
    *,
    workspace: Workspace | None = None,
    reporter: Reporter | None = None,
) -> Generator[str]:
    """Serve a model while the context lasts; yields the URL.

        with served(ServingConfig(model="models:/actions@champion")) as url: ...

    Args:
        config: `model` and `shadow` as people name them; the workspace says where the registry is.

    Raises:
        InputError: no such model, no token where one is needed, a port that is taken, or too small a cluster.
    """
    address = address or Address()
    check_address(address, config.token)
    with working(workspace, reporter) as (place, told):
        uri = tracking_uri(place)
        for model in filter(None, (config.model, config.shadow)):
            resolve_model(model, uri)  # replicas would say it later, and less clearly
        if config.browser_poses:
            runtime_files()  # the same
        model, shadow = _absolute(config.model), config.shadow and _absolute(config.shadow)
        with running(replace(config, model=model, shadow=shadow, tracking_uri=uri), address, told.say) as url:
            yield url


def wait_for_interruption() -> None:
    """Until Ctrl-C or SIGTERM, which come as KeyboardInterrupt."""
    while not threading.Event().wait(3600):
        pass


def _absolute(model: str) -> str:
    """A folder by its whole path, since replicas work elsewhere."""
    return model if model.startswith(("models:/", "runs:/")) else str(Path(model).absolute())
