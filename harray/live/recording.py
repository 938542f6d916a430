"""Where drawn frames go: an H.264 file that is whole however watching ends, a window where there is a display."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from harray.errors import InputError

TICKS_PER_SEC = 90_000
WINDOW = "harray live"
NO_WINDOW = "use --save out.mp4, or `harray serve` for a page"


class Recording:
    """Writes frames with the times they were taken at.

    Args:
        path: of the file, as its ending says (`.mp4`); it is there from the first frame on and whole after `close`.
    """

    def __init__(self, path: Path):
        self.path = path
        self._container: Any = None
        self._stream: Any = None
        self._last_tick = -1
        self._first_sec = 0.0

    def add(self, frame_HWC: np.ndarray, time_sec: float) -> None:
        """Take the next frame, uint8 RGB; all are written in the size of the first."""
        import av

        if self._container is None:
            self._open(frame_HWC, time_sec)
        size_wh = self._stream.width, self._stream.height
        fitting: Any = frame_HWC if frame_HWC.shape[1::-1] == size_wh else cv2.resize(frame_HWC, size_wh)
        picture = av.VideoFrame.from_ndarray(fitting, format="rgb24")
        self._last_tick = max(self._last_tick + 1, round((time_sec - self._first_sec) * TICKS_PER_SEC))
        picture.pts, picture.time_base = self._last_tick, Fraction(1, TICKS_PER_SEC)
        self._container.mux(self._stream.encode(picture))

    def close(self) -> None:
        """End the file."""
        if self._container is not None:
            self._container.mux(self._stream.encode(None))
            self._container.close()
            self._container = None

    def _open(self, frame_HWC: np.ndarray, time_sec: float) -> None:
        import av

        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._container = av.open(str(self.path), "w")
        except (OSError, ValueError, av.FFmpegError) as error:
            raise InputError(
                f"--save {self.path}: cannot be written ({error}); name a .mp4 elsewhere"
            ) from error
        stream: Any = self._container.add_stream("libx264", rate=30)
        stream.height, stream.width = frame_HWC.shape[:2]
        stream.pix_fmt, stream.options = "yuv420p", {"preset": "veryfast", "threads": "1"}
        stream.codec_context.time_base = Fraction(1, TICKS_PER_SEC)
        self._stream, self._first_sec = stream, time_sec


class Window:
    """A window on the screen, of Tk, which Python brings: this project's OpenCV draws none.

    Raises:
        InputError: there is no display, or this Python came without Tk.
    """

    def __init__(self) -> None:
        try:
            import tkinter
        except ImportError as error:
            raise InputError(f"--show: this Python came without Tk ({error}); {NO_WINDOW}") from error
        try:
            self._root = tkinter.Tk(className=WINDOW)
        except tkinter.TclError as error:
            raise InputError(f"--show: {error}; {NO_WINDOW}") from error
        self._root.title(WINDOW)
        self._label = tkinter.Label(self._root, borderwidth=0)
        self._label.pack()
        self._is_open = True
        self._root.protocol("WM_DELETE_WINDOW", self._leave)
        for key in ("q", "<Escape>"):
            self._root.bind(key, self._leave)

    def show(self, frame_HWC: np.ndarray) -> bool:
        """Show a frame, uint8 RGB; False once somebody has pressed q or Escape, or closed the window."""
        import tkinter

        height, width = frame_HWC.shape[:2]
        pixels = b"P6 %d %d 255\n" % (width, height) + np.ascontiguousarray(frame_HWC).tobytes()
        self._picture = tkinter.PhotoImage(data=pixels, format="PPM")  # which Tk does not keep by itself
        self._label.configure(image=self._picture)
        self._root.update()
        return self._is_open

    def close(self) -> None:
        self._root.destroy()

    def _leave(self, *_: Any) -> None:
        self._is_open = False
