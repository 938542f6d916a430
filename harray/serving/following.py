"""The model that is served now, and the one that an alias will name next."""

import asyncio
import logging
from dataclasses import dataclass
from typing import Protocol

from harray.serving.networks import Facts
from harray.tracking.registry import pinned

_log = logging.getLogger(__name__)


class Loads(Protocol):
    """What makes a model ready wherever the networks are."""

    async def load(self, name: str) -> Facts: ...


@dataclass(frozen=True, kw_only=True)
class Served:
    """A loaded model under the name that stays the same."""

    name: str  # models:/NAME/VERSION, or as it was given
    version: str  # as the page shows it; empty for what has no versions
    facts: Facts


class Following:
    """Keeps `current` at what the alias names. A version that cannot be loaded, or a registry that is away, changes
    nothing: the last good version goes on.

    Args:
        model: as people name it, such as models:/actions@champion.
    """

    def __init__(self, model: str, tracking_uri: str, networks: Loads, poll_sec: float):
        self.model = model
        self.tracking_uri = tracking_uri
        self.poll_sec = poll_sec
        self.current: Served | None = None
        self.trouble: str | None = None  # why the newest version is not served
        self._networks = networks

    async def start(self) -> Served:
        """Load what is named now.

        Raises:
            InputError: no such model, or it cannot be loaded.
        """
        self.current = await self._served(await asyncio.to_thread(pinned, self.model, self.tracking_uri))
        return self.current

    async def follow(self) -> None:
        """Ask again and again; ends by being cancelled."""
        while True:
            await asyncio.sleep(self.poll_sec)
            await self.look()

    async def look(self) -> None:
        """Ask the registry once, and change over where there is another version."""
        try:
            name = await asyncio.to_thread(pinned, self.model, self.tracking_uri)
            if self.current is None or name != self.current.name:
                self.current = await self._served(name)
                _log.info("%s is now %s", self.model, name)
            self.trouble = None
        except Exception as error:  # whatever it is, the last good version goes on
            if str(error) != self.trouble:
                _log.warning("%s stays at %s: %s", self.model, self.current and self.current.name, error)
            self.trouble = str(error)

    async def _served(self, name: str) -> Served:
        facts = await self._networks.load(name)
        number = name.rpartition("/")[2]
        version = number if name.startswith("models:/") and number.isdigit() else ""
        return Served(name=name, version=version, facts=facts)
