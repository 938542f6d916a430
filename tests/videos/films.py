"""A film of a bright square that goes to the right and down, in any container, and where the square is seen in it."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

HEIGHT, WIDTH, SIDE = 120, 160, 24
RATE = 25
START_XY, STEP_XY = (20, 16), (1, 0.5)


def film_frames(num_frames: int) -> list[np.ndarray]:
    """uint8 RGB [H, W, 3] each; the background gets brighter to the right, so that no side is like another."""
    frames = []
    for number in range(num_frames):
        image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        image[:, :, 0] = np.linspace(0, 120, WIDTH)
        x, y = (round(start + step * number) for start, step in zip(START_XY, STEP_XY, strict=True))
        image[y : y + SIDE, x : x + SIDE] = 255
        frames.append(image)
    return frames


def square_xy(rgb_THWC: np.ndarray, height_px: int, width_px: int) -> np.ndarray:
    """[T, 2]: the square's centre in every picture, in px of the video as it is shown."""
    bright_THW = rgb_THWC.min(axis=3) > 140
    height, width = bright_THW.shape[1:]
    centres = []
    for bright_HW in bright_THW:
        rows, columns = np.nonzero(bright_HW)
        centres.append(((columns.mean() + 0.5) * width_px / width, (rows.mean() + 0.5) * height_px / height))
    return np.array(centres)


def write_film(
    path: Path,
    frames: Sequence[np.ndarray],
    *,
    codec: str = "libx264",
    container: str | None = None,
    rate: int = RATE,
    seconds: Sequence[float] | None = None,
    aspect: Fraction | None = None,
    rotation: tuple[int, bool, bool] | None = None,
    prepare: Callable = lambda output: None,
    options: dict[str, str] | None = None,
    codec_options: dict[str, str] | None = None,
) -> Path:
    """Write a film with PyAV.

    Args:
        seconds: when each frame is shown; None for evenly.
        aspect: width of a stored pixel by its height.
        rotation: as `set_display_rotation` takes it.
        prepare: called with the output before the film's stream is added; what it returns is called before the film's
            first packet.
        options: of the container.
    """
    with av.open(str(path), "w", format=container, options=options or {}) as output:
        begin = prepare(output)
        stream = output.add_stream(codec, rate=rate, options=codec_options or {})
        stream.height, stream.width = frames[0].shape[:2]
        formats = [each.name for each in stream.codec_context.codec.video_formats or ()]
        stream.pix_fmt = "yuv420p" if not formats or "yuv420p" in formats else formats[0]
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        if rotation is not None:
            stream.set_display_rotation(*rotation)
        if begin is not None:
            begin()
        for number, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            if seconds is not None:
                frame.time_base = stream.codec_context.time_base = Fraction(1, 1000)
                frame.pts = round(1000 * seconds[number])
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path
