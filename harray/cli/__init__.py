"""Every command and flag: parse -> config -> one call -> print."""

from harray.cli.app import main

__all__ = ["main"]
