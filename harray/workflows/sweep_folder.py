"""A sweep's folder: found again by what was asked, and held by one process.

OUT/sweeps/NAME/  sweep.yaml base.yaml   what was asked
                  optuna.jsonl           Optuna's study: the truth
                  journal.jsonl sent     what MLflow is told, and how far it was
                  trials/0003/           a trial's state while it runs, its checkpoint when it is finished
                  best.yaml trials.csv *.png summary.json    at the end
"""

import dataclasses
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from harray.config import digest, dump, to_dict
from harray.distributed.sweep_settings import SweepSettings
from harray.errors import InputError
from harray.experiment import ExperimentConfig

SETTINGS_FILE, BASE_FILE, ID_FILE, LOCK_FILE = "sweep.yaml", "base.yaml", "id", ".lock"
BEST_FILE, TABLE_FILE, SUMMARY_FILE, TRIALS_FOLDER = "best.yaml", "trials.csv", "summary.json", "trials"
LOCK_PATIENCE_SEC = 2.0  # a driver that was just killed may take a moment to be gone


@contextmanager
def claimed_folder(
    out: Path, experiment: ExperimentConfig, settings: SweepSettings, *, resume: bool
) -> Generator[Path]:
    """The sweep's folder, held: a new one, or the last of these settings, which is gone on with.

    Raises:
        InputError: an unfinished sweep of these settings without `resume`, or another process at work in it.
    """
    same = dataclasses.replace(settings, num_trials=0, max_failed=0)
    parent = out.absolute() / "sweeps"
    stem = Path(settings.search.rpartition(":")[0]).stem or settings.search
    name = f"{stem}-{digest([to_dict(same), to_dict(experiment)])[:8]}"
    number = max((int(path.name.rpartition("-")[2]) for path in parent.glob(f"{name}-*")), default=0)
    last = parent / f"{name}-{number}"
    goes_on = number > 0 and (resume or not (last / SUMMARY_FILE).exists())
    folder = last if goes_on else parent / f"{name}-{number + 1}"
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK_FILE)
    try:
        lock.acquire(timeout=LOCK_PATIENCE_SEC)
    except Timeout:
        raise InputError(f"sweep {folder}: another `harray tune` works on it; wait for its end") from None
    try:
        if goes_on and not resume:
            raise InputError(
                f"sweep {folder}: the same search is unfinished; go on with it by --resume, or remove the folder"
            )
        if not (folder / ID_FILE).exists():
            (folder / ID_FILE).write_text(f"{folder.name}-{uuid.uuid4().hex[:12]}")
        dump(settings, folder / SETTINGS_FILE)
        dump(experiment, folder / BASE_FILE)
        yield folder
    finally:
        lock.release()
