"""How much memory this process may have."""

import os
import resource
from collections.abc import Iterator
from pathlib import Path

import psutil

CGROUPS = Path("/sys/fs/cgroup")
LIMITS = (resource.RLIMIT_DATA, resource.RLIMIT_AS)


def memory_bytes() -> float:
    """Of this process: the machine's memory, or what its control group or its limits allow, shared with the workers
    that Ray Train put on the same machine."""
    limits = [resource.getrlimit(kind)[0] for kind in LIMITS]
    limits = [limit for limit in limits if limit != resource.RLIM_INFINITY]
    workers = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    shared = min([psutil.virtual_memory().total, *_cgroup_limits()]) / workers
    return min([shared, *limits])


def _cgroup_limits() -> Iterator[int]:
    """Of this process's control group and those around it."""
    for line in _own_groups():
        _, controllers, name = line.split(":", 2)
        if controllers == "":
            root, file = CGROUPS, "memory.max"
        elif "memory" in controllers.split(","):
            root, file = CGROUPS / "memory", "memory.limit_in_bytes"
        else:
            continue
        inner = root / name.lstrip("/")
        for folder in (inner, *inner.parents):
            limit = folder / file
            if (
                folder.is_relative_to(root)
                and limit.is_file()
                and (text := limit.read_text().strip()).isdigit()
            ):
                yield int(text)


def _own_groups() -> list[str]:
    """Lines such as "0::/pod/container"; none where there are no control groups."""
    try:
        return Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
