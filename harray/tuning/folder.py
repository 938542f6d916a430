"""A sweep's folder: found again by what was asked, whatever it is called now, and held by one process.

OUT/sweeps/NAME/  sweep.yaml base.yaml   what was asked
                  optuna.jsonl           Optuna's study: the truth
                  journal.jsonl sent     what MLflow is told, and how far it was
                  trials/0003/           a trial's state while it runs, its checkpoint when it is finished
                  best.yaml trials.csv *.png summary.json    at the end
"""

import re
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harray.config import digest, dump, flatten, load
from harray.errors import InputError
from harray.experiment import ExperimentConfig
from harray.files import holding
from harray.tuning.settings import SweepSettings

SETTINGS_FILE, BASE_FILE, ID_FILE, LOCK_FILE = "sweep.yaml", "base.yaml", "id", ".lock"
BEST_FILE, TABLE_FILE, SUMMARY_FILE, TRIALS_FOLDER = "best.yaml", "trials.csv", "summary.json", "trials"
IGNORED = (
    "num_trials",
    "max_failed",
    "store",
    "search",
)  # settings without which a sweep is the same: by content
NEAREST, DIFFERENCES = 3, 4  # sweeps shown, and differences of each


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A sweep that a folder holds."""

    folder: Path
    settings: SweepSettings
    experiment: ExperimentConfig

    @property
    def mark(self) -> str:
        """Stands for all that makes it the same sweep."""
        return digest(_asked(self.settings, self.experiment))

    @property
    def begun(self) -> float:
        file = self.folder / ID_FILE
        return file.stat().st_mtime if file.exists() else 0.0

    def differences(self, settings: SweepSettings, experiment: ExperimentConfig) -> list[str]:
        """What this sweep was asked, and what is asked now, where they differ."""
        then, now = _asked(self.settings, self.experiment), _asked(settings, experiment)
        return [
            f"{name} was {_short(then.get(name))}, is {_short(now.get(name))}"
            for name in sorted(then | now)
            if then.get(name) != now.get(name)
        ]


@contextmanager
def claimed_folder(
    out: Path, experiment: ExperimentConfig, settings: SweepSettings, *, resume: bool | None
) -> Generator[Path]:
    """The sweep's folder, held: a new one, or the last of these settings, which is gone on with.

    Args:
        resume: whether to go on with one; None for where there is one.

    Raises:
        InputError: an unfinished sweep of these settings without `resume`, none with it, or another process at work
            in it.
    """
    parent = out.absolute() / "sweeps"
    asked = Kept(folder=parent, settings=settings, experiment=experiment)
    there = kept_sweeps(parent)
    same = sorted((kept for kept in there if kept.mark == asked.mark), key=lambda kept: kept.begun)
    if resume and not same:
        raise InputError(_nothing_to_resume(parent, there, settings, experiment))
    last = same[-1].folder if same else None
    goes_on = last is not None and (resume is not False or not (last / SUMMARY_FILE).exists())
    folder = last if goes_on and last else _new_name(parent, settings, asked.mark)
    folder.mkdir(parents=True, exist_ok=True)
    with holding(folder, f"sweep {folder}: another `harray tune` works on it; wait for its end"):
        if goes_on and resume is False:
            raise InputError(
                f"sweep {folder}: the same search is unfinished; go on with it by --resume, or remove the folder"
            )
        if not (folder / ID_FILE).exists():
            (folder / ID_FILE).write_text(f"{folder.name}-{uuid.uuid4().hex[:12]}")
        dump(settings, folder / SETTINGS_FILE)
        dump(experiment, folder / BASE_FILE)
        yield folder


def kept_sweeps(parent: Path) -> list[Kept]:
    """The sweeps below a folder, whatever their own folders are called; what is no sweep is passed over."""
    found = []
    for file in sorted(parent.glob(f"*/{SETTINGS_FILE}")):
        try:
            settings = load(SweepSettings, file)
            experiment = load(ExperimentConfig, file.with_name(BASE_FILE))
        except InputError:  # half-written, or of a harray with other settings
            continue
        found.append(Kept(folder=file.parent, settings=settings, experiment=experiment))
    return found


def _asked(settings: SweepSettings, experiment: ExperimentConfig) -> dict[str, Any]:
    """All that makes a sweep what it is, by name."""
    values = {name: value for name, value in flatten(settings).items() if name not in (*IGNORED, "space")}
    space = dict(line.partition(": ")[::2] for line in settings.space)
    named = {f"search of {name}": text for name, text in space.items()}
    return {name: _plain(value) for name, value in {**values, **named, **flatten(experiment)}.items()}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _short(value: Any) -> str:
    text = "not there" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _new_name(parent: Path, settings: SweepSettings, mark: str) -> Path:
    """A name that no sweep has; one that another process is about to begin with is not passed over."""
    stem = Path(settings.search.rpartition(":")[0]).stem or settings.search
    name = f"{stem}-{mark[:8]}"
    found = (re.fullmatch(rf"{re.escape(name)}-(\d+)", path.name) for path in parent.glob(f"{name}-*"))
    last = max((int(match[1]) for match in found if match), default=0)
    has_begun = (parent / f"{name}-{last}" / SETTINGS_FILE).exists()
    return parent / f"{name}-{last + (has_begun or not last)}"


def _nothing_to_resume(
    parent: Path, there: list[Kept], settings: SweepSettings, experiment: ExperimentConfig
) -> str:
    differing = sorted(
        ((kept.differences(settings, experiment), kept) for kept in there), key=lambda pair: len(pair[0])
    )
    if not differing:
        return f"--resume: no sweep under {parent}; leave out --resume to begin one, or name its --out"
    said = []
    for differences, kept in differing[:NEAREST]:
        more = f" and {len(differences) - DIFFERENCES} more" if len(differences) > DIFFERENCES else ""
        said.append(f"{kept.folder.name} ({'; '.join(differences[:DIFFERENCES])}{more})")
    left = f", and {len(differing) - NEAREST} others" if len(differing) > NEAREST else ""
    return (
        f"--resume: no sweep under {parent} was asked the same; there are {', '.join(said)}{left}; give that "
        "sweep's command, or leave out --resume to begin another"
    )
