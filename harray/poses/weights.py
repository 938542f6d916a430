"""Which pose weights: an explicit path, else the cache, else the official download, verified.

The digests are those of ultralytics' release v8.3.0, as many public projects record them. Checkpoints are
pickles: whatever the origin, they are read by an unpickler that admits known network classes only.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harray.downloads import Release, fetch, sha256_of, whereabouts
from harray.errors import InputError
from harray.files import cache_dir
from harray.networks.checkpoints import names_in
from harray.poses.config import EMBEDDED
from harray.poses.embedded import EMBEDDED_WEIGHTS, load_embedded_model

if TYPE_CHECKING:
    import torch

KEY, YOLO = "poses.weights", "yolov8n-pose.pt"

_BASE = "https://github.com/ultralytics/assets/releases/download/v8.3.0"
_SHA256 = {
    "yolov8n-pose.pt": "c6fa93dd1ee4a2c18c900a45c1d864a1c6f7aba75d84f91648a30b7fb641d212",
    "yolov8s-pose.pt": "234314cd8baf62616791aceb9ea6ad5c19f26cf6c0d8f3a1bfce1e23b186cfb3",
    "yolov8m-pose.pt": "dbe539ea268db2534390942cfdf206e521f376f19e5415967a57f6a2ddfa3c90",
    "yolo11n-pose.pt": "869e83fcdffdc7371fa4e34cd8e51c838cc729571d1635e5141e3075e9319dc0",
}
OFFICIAL = {
    name: Release(name=name, url=f"{_BASE}/{name}", sha256=sha256) for name, sha256 in _SHA256.items()
}


def resolve_pose_weights(weights: str) -> Path:
    """The checkpoint file for `poses.weights`, downloaded if need be.

    Raises:
        InputError: no such file and no such name, or a download that failed or is not what it should be.
    """
    path = Path(weights).expanduser()
    if path.is_file():
        return path.absolute()
    if weights in OFFICIAL:
        return fetch(OFFICIAL[weights], KEY)
    raise InputError(
        f"{KEY}={weights}: no such file, and no official name that harray can verify; "
        f"expected a path, {', '.join(OFFICIAL)}, or {EMBEDDED} (for procedural videos)"
    )


def check_pose_weights(weights: str) -> None:
    """Refuse, before anything heavy starts, a file that is no pose network by the names in it.

    Raises:
        InputError: as `resolve_pose_weights`, or the file is no checkpoint of a YOLO pose network.
    """
    if weights == EMBEDDED:
        return
    names = names_in(path := resolve_pose_weights(weights))
    if any(name.endswith(" PoseModel") for name in names):
        return
    models = sorted(name.split()[-1] for name in names if name.endswith("Model"))
    found = f" (it holds a {models[0]})" if models else ""
    raise InputError(f"{KEY}={path}: not a checkpoint of a YOLO pose network{found}; expected such as {YOLO}")


def locate_pose_weights(weights: str) -> str:
    """Where the weights would come from, in words; fetches nothing.

    Raises:
        InputError: as `resolve_pose_weights`, but for downloads.
    """
    if weights == EMBEDDED:
        return f"{EMBEDDED_WEIGHTS} (drawn figures only)"
    if weights in OFFICIAL and not Path(weights).is_file():
        return whereabouts(OFFICIAL[weights])
    return str(resolve_pose_weights(weights))


def pose_weights_digest(weights: str) -> str:
    """SHA-256 of the bytes that `poses.weights` stands for.

    Raises:
        InputError: as `resolve_pose_weights`.
    """
    if weights != EMBEDDED:
        return sha256_of(resolve_pose_weights(weights))
    if not EMBEDDED_WEIGHTS.is_file():
        raise InputError(f"{EMBEDDED_WEIGHTS}: no such file; reinstall harray, or set {KEY}=PATH")
    return sha256_of(EMBEDDED_WEIGHTS)


def load_pose_model(weights: str) -> "torch.nn.Module":
    """The network in eval mode, float32, on the CPU, convolutions fused with their batch norms.

    Its input is RGB [B, 3, H, W] in [0, 1] with sides that are multiples of 32.

    Raises:
        InputError: as `resolve_pose_weights`, or the file is no pose checkpoint with 17 keypoints.
    """
    prepare_ultralytics()
    if weights == EMBEDDED:
        return load_embedded_model()
    path = resolve_pose_weights(weights)
    model = _unpickled(path)
    keypoints = getattr(model.model[-1], "kpt_shape", None)
    if keypoints is None or tuple(keypoints) != (17, 3):
        raise InputError(
            f"{KEY}={path}: keypoints {keypoints}, expected a pose network with 17 keypoints (COCO)"
        )
    return model.float().fuse(verbose=False).eval()


def prepare_ultralytics() -> None:
    """Keep ultralytics from the user's settings, from the network and from installing packages.

    It reads these when it is first imported.
    """
    os.environ.setdefault("YOLO_CONFIG_DIR", str(cache_dir() / "ultralytics"))
    os.environ.setdefault("YOLO_OFFLINE", "true")
    os.environ.setdefault("YOLO_AUTOINSTALL", "false")
    os.environ.setdefault("YOLO_VERBOSE", "false")
    Path(os.environ["YOLO_CONFIG_DIR"]).mkdir(parents=True, exist_ok=True)


def _unpickled(path: Path) -> Any:
    from ultralytics.nn.tasks import torch_safe_load

    try:
        checkpoint, _ = torch_safe_load(path, safe_only=True)
        return checkpoint.get("ema") or checkpoint["model"]
    except Exception as error:  # whatever a file of unknown content makes the reader raise
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{KEY}={path}: not a checkpoint of a YOLO pose network ({reason[:200]})") from error
