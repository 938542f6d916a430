"""A sweep's folder: found again by what was asked, whatever it is called now, and held by one process.

OUT/sweeps/NAME/  sweep.yaml       what was asked: a SweepConfig
                  optuna.jsonl     Optuna's study with the trials' epochs: the truth
                  id               by which its runs are found in MLflow
                  trials/0003/     a trial's state while it runs, its checkpoint when it is complete
                  best.yaml trials.csv *.png summary.json    at the end
"""

import re
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from harray.config import dump, load
from harray.errors import InputError
from harray.files import fetch, holding
from harray.tuning.config import SweepConfig

CONFIG_FILE, STUDY_FILE, ID_FILE = "sweep.yaml", "optuna.jsonl", "id"
BEST_FILE, TABLE_FILE, SUMMARY_FILE, TRIALS_FOLDER = "best.yaml", "trials.csv", "summary.json", "trials"
NEAREST, DIFFERENCES = 3, 4  # sweeps shown, and differences of each


@contextmanager
def claimed_folder(out: Path, config: SweepConfig) -> Generator[Path]:
    """The sweep's folder, held: a new one, or the last of the same sweep, which is gone on with.

    Raises:
        InputError: the same sweep is there, unfinished, without `resume`; none is there with it; or another process
            works in it.
    """
    resume = config.resume
    parent = out.absolute() / "sweeps"
    fetch(parent, lambda name: name.endswith((f"/{CONFIG_FILE}", f"/{ID_FILE}", f"/{SUMMARY_FILE}")))
    there = kept_sweeps(parent)
    same = sorted((folder for folder, kept in there.items() if kept.digest == config.digest), key=_begun)
    if resume and not same:
        raise InputError(_nothing_to_resume(parent, there, config))
    last = same[-1] if same else None
    goes_on = last is not None and (resume is not False or not (last / SUMMARY_FILE).exists())
    folder = last if goes_on and last else _new_name(parent, config)
    folder.mkdir(parents=True, exist_ok=True)
    with holding(folder, f"sweep {folder}: another `harray tune` works on it; wait for its end"):
        if goes_on and resume is False:
            raise InputError(
                f"sweep {folder}: the same search is unfinished; go on with it by --resume, or remove the folder"
            )
        if not (folder / ID_FILE).exists():
            (folder / ID_FILE).write_text(f"{folder.name}-{uuid.uuid4().hex[:12]}")
        fetch(folder, lambda name: "/tune/" not in name and "/ray/" not in name)
        dump(config, folder / CONFIG_FILE)
        yield folder


def kept_sweeps(parent: Path) -> dict[Path, SweepConfig]:
    """The sweeps below a folder, whatever their own folders are called; what is no sweep is passed over."""
    found = {}
    for file in sorted(parent.glob(f"*/{CONFIG_FILE}")):
        try:
            found[file.parent] = load(SweepConfig, file)
        except InputError:  # half-written, or of a harray with other settings
            continue
    return found


def _begun(folder: Path) -> float:
    file = folder / ID_FILE
    return file.stat().st_mtime if file.exists() else 0.0


def _new_name(parent: Path, config: SweepConfig) -> Path:
    """A name that no sweep has; one that another process is about to begin with is not passed over."""
    stem = Path(config.search.rpartition(":")[0]).stem or config.search
    name = f"{stem}-{config.digest[:8]}"
    found = (re.fullmatch(rf"{re.escape(name)}-(\d+)", path.name) for path in parent.glob(f"{name}-*"))
    last = max((int(match[1]) for match in found if match), default=0)
    has_begun = (parent / f"{name}-{last}" / CONFIG_FILE).exists()
    return parent / f"{name}-{last + (has_begun or not last)}"


def _nothing_to_resume(parent: Path, there: dict[Path, SweepConfig], config: SweepConfig) -> str:
    differing = sorted(
        ((kept.differences(config), folder.name) for folder, kept in there.items()),
        key=lambda pair: len(pair[0]),
    )
    if not differing:
        return f"--resume: no sweep under {parent}; leave out --resume to begin one, or name its --out"
    said = []
    for differences, name in differing[:NEAREST]:
        more = f" and {len(differences) - DIFFERENCES} more" if len(differences) > DIFFERENCES else ""
        said.append(f"{name} ({'; '.join(differences[:DIFFERENCES])}{more})")
    left = f", and {len(differing) - NEAREST} others" if len(differing) > NEAREST else ""
    return (
        f"--resume: no sweep under {parent} was asked the same; there are {', '.join(said)}{left}; give that "
        "sweep's command, or leave out --resume to begin another"
    )
