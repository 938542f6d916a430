"""What a run says of where it comes from: data, recipe, harray's version and commit, and who ran it."""

import contextlib
import getpass
import subprocess
from pathlib import Path

import harray
from harray.files import Place

STORE_TAG, STORE_DIGEST_TAG, RECIPE_TAG = "harray.store", "harray.store_digest", "harray.recipe"


def origin_tags_of(store: Place, store_digest: str, seed: int, recipe: str) -> dict[str, str]:
    """Tags that say what a run was made of; the store's also make the run's data set."""
    tags = {STORE_TAG: str(store), STORE_DIGEST_TAG: store_digest, "harray.seed": str(seed)}
    return tags | ({RECIPE_TAG: recipe} if recipe else {})


def run_name(recipe: str, store: Place, seed: int) -> str:
    """What a run is called where nobody named it.

    >>> run_name("skeleton", Path("stores/penn"), 0)
    'skeleton on penn, seed 0'
    """
    return f"{Path(recipe).stem or 'training'} on {store.absolute().name}, seed {seed}"


def origin_tags() -> dict[str, str]:
    """harray's version, the git commit of its checkout (absent when installed from a wheel), and who ran it."""
    tags = {
        "harray.version": harray.__version__,
        "mlflow.source.name": "harray",
        "mlflow.source.type": "LOCAL",
    }
    if commit := git_commit():
        tags["mlflow.source.git.commit"] = commit
    with contextlib.suppress(OSError, KeyError):  # a container whose user id has no name
        tags["mlflow.user"] = getpass.getuser()
    return tags


def git_commit() -> str | None:
    """The commit that holds this harray, `-dirty` when its files differ; None where git does not track it."""
    package = Path(harray.__file__).parent
    try:
        _git(
            package, "ls-files", "--error-unmatch", "__init__.py"
        )  # not a folder ignored by someone else's git
        commit = _git(package, "rev-parse", "HEAD")
        return f"{commit}-dirty" if _git(package, "status", "--porcelain", "--", ".") else commit
    except (OSError, subprocess.SubprocessError):
        return None


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=10).stdout.strip()
