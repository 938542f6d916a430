"""What the procedural world makes: labelled videos with their truth, and the weights of a pose network for them."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from harray.api.session import listener, working
from harray.reporting import Reporter
from harray.workspace import Workspace, local_folder

if TYPE_CHECKING:
    from harray.synth.render import RenderSummary


def render(
    out: str | Path,
    *,
    clips_per_action: int = 20,
    seed: int = 0,
    reporter: Reporter | None = None,
) -> "RenderSummary":
    """Render labelled videos with the truth of every frame; what is there already stays.

    Args:
        out: new folder for videos, manifest and truth, or one that holds part of the same set.

    Raises:
        InputError: a folder with something else in it, or too few clips for three splits.
    """
    from harray.synth.config import SynthConfig
    from harray.synth.render import render_dataset

    config = SynthConfig(clips_per_action=clips_per_action, seed=seed)
    return render_dataset(local_folder(out).absolute(), config, listener(reporter))


def train_pose_network(
    out: str | Path,
    *,
    seed: int = 0,
    workspace: Workspace | None = None,
    reporter: Reporter | None = None,
) -> dict[str, Any]:
    """Train the pose network for rendered videos; returns the card that says how good it is.

    Raises:
        InputError: `out` is a file.
    """
    with working(workspace, reporter) as (_, told):
        from harray.rendered.from_scratch import PoseTrainingConfig, train_pose_weights

        command = f"harray synth pose-weights OUT --seed {seed}"
        return train_pose_weights(local_folder(out).absolute(), PoseTrainingConfig(seed=seed), told, command)
