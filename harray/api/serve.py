"""A model on the network, for as long as it is wanted."""

import contextlib
import threading
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path

from harray.serving.config import Address, ServingConfig
from harray.serving.server import check_address, running
from harray.tracking.location import tracking_uri
from harray.tracking.registry import pinned, resolve_model
from harray.workspace import Workspace


@contextlib.contextmanager
def served(
    config: ServingConfig,
    address: Address,
    workspace: Workspace,
    say: Callable[[str], None] = lambda message: None,
) -> Generator[str]:
    """Serve a model while the context lasts; yields the URL.

    Args:
        config: `model` and `shadow` as people name them; the workspace says where the registry is.
        say: told what is being waited for.

    Raises:
        InputError: no such model, no token where one is needed, a port that is taken, or too small a cluster.
    """
    check_address(address, config.token)
    uri = tracking_uri(workspace)
    for model in filter(None, (config.model, config.shadow)):
        resolve_model(pinned(model, uri), uri)
    config = replace(
        config,
        model=_absolute(config.model),
        shadow=config.shadow and _absolute(config.shadow),
        tracking_uri=uri,
    )
    with running(config, address, say) as url:
        yield url


def _absolute(model: str) -> str:
    """A folder by its whole path, since replicas work elsewhere."""
    return model if model.startswith(("models:/", "runs:/")) else str(Path(model).absolute())


def wait_for_interruption() -> None:
    """Until Ctrl-C or SIGTERM, which come as KeyboardInterrupt."""
    while not threading.Event().wait(3600):
        pass
