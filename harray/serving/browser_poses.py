"""The pose network in the guest's browser, so that keypoints alone leave it.

    browser: frame --letterbox--> pose network (ONNX Runtime's WebAssembly) --confident boxes--> socket
    server:  rows --nms, in source px--> SeenFrame --> the stream, as of any frame; no scene, and no cuts are looked for

Everything comes from this server: the network by /pose.onnx, the runtime's files out of its published package.
"""

import functools
import tarfile
from typing import Any

from harray.downloads import Release, fetch
from harray.errors import InputError
from harray.live.networks import SeenFrame
from harray.poses.config import PosesConfig
from harray.poses.detector import PoseDetector, people_of_rows
from harray.poses.letterbox import longer_side
from harray.serving.protocol import PoseRows

RUNTIME = Release(  # MIT
    name="onnxruntime-web-1.30.0.tgz",
    url="https://registry.npmjs.org/onnxruntime-web/-/onnxruntime-web-1.30.0.tgz",
    sha256="d2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71",
)
FILES = {  # as the page asks for them -> media type, in the package
    "ort.wasm.min.mjs": ("text/javascript", "package/dist/ort.wasm.min.mjs"),
    "ort-wasm-simd-threaded.mjs": ("text/javascript", "package/dist/ort-wasm-simd-threaded.mjs"),
    "ort-wasm-simd-threaded.wasm": ("application/wasm", "package/dist/ort-wasm-simd-threaded.wasm"),
}
HEADERS = {  # threads in WebAssembly share memory, which browsers give to pages that are shut off from others
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
}


@functools.cache
def runtime_files() -> dict[str, tuple[str, bytes]]:
    """Media type and content of each file; the package is downloaded first where it is not in the cache.

    Raises:
        InputError: it cannot be downloaded, or is another one.
    """
    package = fetch(RUNTIME, "--poses-in-browser")
    found = {}
    with tarfile.open(package) as archive:
        for name, (media_type, place) in FILES.items():
            file = archive.extractfile(place)
            if file is None:
                raise InputError(f"{package}: {place} is not in it; remove it")
            found[name] = (media_type, file.read())
    return found


def browser_poses(config: PosesConfig | None) -> dict[str, Any] | None:
    """What the page must know to run the network; None where the model sees no pictures."""
    if config is None:
        return None
    detector = PoseDetector(config)
    return {"image_px": longer_side(detector.image_size), "min_confidence": detector.min_box_confidence}


def seen_in_browser(poses: PoseRows, time_sec: float, config: PosesConfig) -> SeenFrame:
    """What there is in a frame that the server does not have."""
    return SeenFrame(
        time_sec=time_sec,
        height_px=poses.height_px,
        width_px=poses.width_px,
        people=people_of_rows(poses.rows_ND, poses.height_px, poses.width_px, config),
        tokens_SD=None,
    )
