"""How far an autoscaler may let the cluster grow. Ray does not tell its drivers, so it is asked for in two places:

HARRAY_CLUSTER_LIMIT=CPU=64,GPU=8   what the cluster's owner says (deploy/rayjob.yaml does)
the config of Ray's autoscaler      which runs beside the driver of a job, on the head of `ray up`
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from harray.errors import InputError

LIMIT_VARIABLE = "HARRAY_CLUSTER_LIMIT"


def cluster_limit(gcs_address: str) -> dict[str, float]:
    """CPUs and GPUs that the cluster of that address may grow to; empty where nothing lets it grow.

    Raises:
        InputError: HARRAY_CLUSTER_LIMIT cannot be read.
    """
    if said := os.environ.get(LIMIT_VARIABLE):
        return parse_limit(said)
    file = _config_file(gcs_address)
    return {} if file is None else limit_of(yaml.safe_load(file.read_text()))


def parse_limit(text: str) -> dict[str, float]:
    """ "CPU=64,GPU=8" -> {"CPU": 64.0, "GPU": 8.0}

    Raises:
        InputError: something else.
    """
    try:
        amounts = dict(part.split("=") for part in text.split(","))
        return {name.strip(): float(amount) for name, amount in amounts.items()}
    except ValueError:
        raise InputError(f"{LIMIT_VARIABLE}={text}: expected amounts such as CPU=64,GPU=8") from None


def limit_of(config: Mapping[str, Any]) -> dict[str, float]:
    """The most of each resource that a config of `ray up` allows: the head's, and that of as many workers as there
    may be, those with most of it first."""
    types, head = config["available_node_types"], config["head_node_type"]
    most = config.get("max_workers", 0)
    limit = {}
    for name in ("CPU", "GPU"):
        amounts = sorted(
            (
                amount
                for title, kind in types.items()
                if title != head
                for amount in [kind.get("resources", {}).get(name, 0)] * kind.get("max_workers", most)
            ),
            reverse=True,
        )
        limit[name] = float(types[head].get("resources", {}).get(name, 0) + sum(amounts[:most]))
    return limit


def _config_file(gcs_address: str) -> Path | None:
    """What the autoscaler of that cluster was started with; None where none runs on this machine."""
    import psutil

    port = gcs_address.rpartition(":")[2]
    for process in psutil.process_iter(["cmdline"]):
        words = dict(word.partition("=")[::2] for word in process.info["cmdline"] or [])
        if words.get("--gcs-address", "").rpartition(":")[2] == port and "--autoscaling-config" in words:
            return Path(words["--autoscaling-config"]).expanduser()
    return None
