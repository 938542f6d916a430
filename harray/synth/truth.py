"""The truth of a rendered clip, and its file."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harray.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Truth:
    """What is in every frame. P people, the actor first; T frames; K = 17 COCO joints.

    A joint is visible (True) where it lies in the frame and neither the person's own body, nor another person,
    an object or the occluder covers it. Boxes are x0, y0, x1, y1 in px, NaN where there is none.
    """

    keypoints_TPKC: np.ndarray  # float32 px (x, y), also where hidden or outside the frame
    visible_TPK: np.ndarray  # bool
    person_box_TP4: np.ndarray  # float32, of the whole drawn person, not cut at the frame
    body_height_P: np.ndarray  # float32 px, standing height
    object_box_T4: np.ndarray  # float32
    occluder_box_T4: np.ndarray  # float32
    label: str
    scene: str
    actor: str

    def at(self, frames: np.ndarray) -> "Truth":
        """The truth of some of the frames."""
        per_frame = ("keypoints_TPKC", "visible_TPK", "person_box_TP4", "object_box_T4", "occluder_box_T4")
        return dataclasses.replace(self, **{name: getattr(self, name)[frames] for name in per_frame})


_ARRAYS = (
    "keypoints_TPKC",
    "visible_TPK",
    "person_box_TP4",
    "body_height_P",
    "object_box_T4",
    "occluder_box_T4",
)
_TEXTS = ("label", "scene", "actor")


def save_truth(truth: Truth, path: Path) -> None:
    """Write an .npz without pickle; the same truth gives the same bytes."""
    arrays = {name: getattr(truth, name) for name in _ARRAYS}
    texts = {name: np.array(getattr(truth, name)) for name in _TEXTS}
    np.savez_compressed(path, allow_pickle=False, **arrays, **texts)


def load_truth(path: Path) -> Truth:
    """Read a truth file.

    Raises:
        InputError: no such file, or an .npz that is not the truth of a clip.
    """
    if not Path(path).is_file():
        raise InputError(
            f"truth {path}: no such file; expected OUT/truth/<action>/<clip>.npz of `harray synth OUT`"
        )
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in _ARRAYS}
            return Truth(**arrays, **{name: str(stored[name]) for name in _TEXTS})
    except (KeyError, ValueError, OSError) as error:
        raise InputError(f"truth {path}: not the truth of a rendered clip ({error})") from error
