"""Every command and flag: parse -> one call of api -> show."""

from harray.cli.app import main

__all__ = ["main"]
