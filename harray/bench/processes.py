"""Processes to measure in: one for each way, at one priority."""

import os
from collections.abc import Generator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context

NICENESS = "RAY_worker_niceness"


@contextmanager
def equal_priority() -> Generator[None]:
    """Workers of a cluster that starts meanwhile run at this process's priority, as the other ways do; Ray would
    start them so nice (15) that they yield to all else on the machine."""
    before = os.environ.get(NICENESS)
    os.environ[NICENESS] = "0"
    try:
        yield
    finally:
        os.environ.pop(NICENESS)
        if before is not None:
            os.environ[NICENESS] = before


def new_process() -> ProcessPoolExecutor:
    """A process of its own: its libraries and threads stay out of the driver, and it keeps what it loads."""
    return ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn"))
