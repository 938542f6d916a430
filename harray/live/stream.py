"""All that is remembered of one stream: who is there, their last seconds, and what is said of them. No network.

Letters: P people, T frames, K joints, C coordinates.
"""

from collections.abc import Sequence
from typing import Any

from harray.inference.predictor import ClipArrays, Prediction, Predictor
from harray.live.config import LiveConfig
from harray.live.decisions import Event, Standing
from harray.live.networks import SeenFrame
from harray.live.traits import ModelTraits
from harray.live.view import view_of
from harray.live.windows import (
    History,
    Moment,
    Sighting,
    Window,
    best_ranked,
    keypoints_of,
    nearest,
)
from harray.poses.cuts import CutDetector
from harray.poses.tracker import NO_TRACK, Tracker
from harray.videos.timeline import TIE_SEC

PICTURE = None  # the track of the whole picture


class Stream:
    """One camera, file or socket.

    Args:
        keeps_last: windows that a cut ends fall due too, however short; for recordings, which nobody waits for.

    Attributes:
        traits: of the model that decides; `adopt` changes them.
        num_cuts: camera cuts seen so far.
        num_people: tracks so far.
    """

    def __init__(self, traits: ModelTraits, config: LiveConfig | None = None, *, keeps_last: bool = False):
        self.config = config or LiveConfig()
        self.traits = traits
        self._keeps_last, self._left = keeps_last, list[Window]()
        self.num_cuts = self.num_people = 0
        self._size_hw: tuple[int, int] | None = None
        self._tracker, self._cuts = Tracker(), CutDetector()
        self._history = History(traits.window_sec)
        self._standings: dict[int | None, Standing] = {}
        self._first_sec: dict[int, float] = {}  # when each track was first and last seen
        self._last_sec: dict[int, float] = {}
        self._due_sec = 0.0
        self._is_told = False  # that the next frame begins a new shot
        self._ended: list[Event] = []  # of tracks that went with a cut, until the next `decided`

    def adopt(self, traits: ModelTraits) -> None:
        """Another model decides from now on; who is followed stays."""
        self.traits = traits
        self._history.window_sec = traits.window_sec

    def wants_scene(self, time_sec: float) -> bool:
        """Whether the scene network should see the frame of that time."""
        if not self.traits.num_scene_frames:
            return False
        scenes = self._history.scenes
        return not scenes or time_sec - scenes[-1][0] >= 1.0 / self.config.scenes_per_sec - TIE_SEC

    def cut(self) -> None:
        """The next frame begins a new shot, whatever it looks like: another file, another connection."""
        self._is_told = bool(self._history.moments)

    def take(self, seen: SeenFrame) -> None:
        """Take in the next frame; its time lies after the last one's, and one that does not is passed over."""
        moments = self._history.moments
        if moments and seen.time_sec <= moments[-1].time_sec:
            return
        size_hw = seen.height_px, seen.width_px
        is_cut = seen.look is not None and self._cuts.update_look(seen.look)
        is_cut |= self._is_told or self._size_hw not in (None, size_hw)
        if is_cut:
            self._begin_anew()
        self._size_hw = size_hw
        tracks_N = self._tracker.update(seen.people, seen.time_sec, is_cut=is_cut)
        people = {
            int(track): Sighting(seen.people.boxes_N4[j], float(seen.people.confidence_N[j]), joints)
            for j, (track, joints) in enumerate(zip(tracks_N, seen.people.keypoints_NKC1, strict=True))
            if track != NO_TRACK
        }
        self.num_people = max([self.num_people, *(track + 1 for track in people)])
        self._history.add(Moment(seen.time_sec, people), seen.tokens_SD)
        for track in people:
            self._first_sec.setdefault(track, seen.time_sec)
            self._last_sec[track] = seen.time_sec
        self._forget()

    def due(self) -> list[Window]:
        """Windows about which to decide now: everybody's, as often as `decisions_per_sec` says."""
        left, self._left = self._left, []
        if not self._history.moments or self._history.end_sec < self._due_sec - TIE_SEC:
            return left
        period_sec = 1.0 / self.config.decisions_per_sec
        late = self._history.end_sec - self._due_sec > period_sec
        self._due_sec = (self._history.end_sec if late else self._due_sec) + period_sec
        return left + self._windows(self.config.least_share * self.traits.window_sec)

    def last(self) -> list[Window]:
        """As the stream ends: windows up to its last frame, however short, unless they were decided on."""
        if not self._history.moments:
            return []
        decided = {standing.track for standing in self._standings.values() if self._is_decided(standing)}
        return [window for window in self._windows(0.0) if window.track not in decided]

    def decided(self, windows: Sequence[Window], predictions: Sequence[Prediction]) -> list[Event]:
        """Take in what was decided, which may be some frames late; what begins and ends with it."""
        events, self._ended = self._ended, []
        for window, prediction in zip(windows, predictions, strict=True):
            if window.track is not PICTURE and window.track not in self._last_sec:
                continue  # gone in the meantime
            standing = self._standings.setdefault(window.track, Standing(track=window.track))
            if window.end_sec > standing.time_sec:
                events += standing.decide(window, prediction, self.traits.threshold, self.config)
        return events

    def finish(self) -> list[Event]:
        """What ends with the stream."""
        events, self._ended = self._ended, []
        return events + [event for standing in self._standings.values() for event in standing.finish()]

    def here(self) -> list[int]:
        """Tracks of those who are found in the newest frame."""
        return list(self._history.moments[-1].people) if self._history.moments else []

    def view(self, *, top: int = 5, with_attention: bool = False) -> dict[str, Any]:
        """What is seen and said at the newest frame, as plain values (`harray.live.view`)."""
        shown = [PICTURE, *self._people()] if self.config.scene else self._people()
        return view_of(
            self._history.moments[-1] if self._history.moments else None,
            self._size_hw or (0, 0),
            [self._standings.get(track) or Standing(track=track) for track in shown],
            self.traits,
            top=top,
            with_attention=with_attention,
        )

    def _is_decided(self, standing: Standing) -> bool:
        return standing.time_sec >= self._history.end_sec - TIE_SEC

    def _people(self) -> list[int]:
        """Tracks that are decided about and shown, the largest first, then those who were there a moment ago."""
        now = list(self._history.moments)[-1:]
        here = best_ranked(now, self.config.max_people)
        away = [track for track in self._last_sec if now and track not in now[0].people]
        return [*here, *away][: self.config.max_people]

    def _windows(self, least_sec: float) -> list[Window]:
        frames = self._history.frames(self.traits.num_frames)
        end_sec, shape = self._history.end_sec, self.traits
        tokens = self._history.scene_tokens(frames, shape.num_scene_frames)
        windows = []
        for track in [PICTURE] if self.config.scene else self._people():
            since_sec = self._history.start_sec if track is PICTURE else self._first_sec[track]
            if end_sec - since_sec < min(least_sec, shape.window_sec) - TIE_SEC:
                continue
            tracks = (
                best_ranked(frames, shape.num_people) if track is PICTURE else self._together(track, frames)
            )
            windows.append(
                Window(
                    track=track,
                    start_sec=self._history.start_sec,
                    end_sec=end_sec,
                    height_px=self._size_hw[0] if self._size_hw else 0,
                    width_px=self._size_hw[1] if self._size_hw else 0,
                    keypoints_PTKC1=keypoints_of(frames, tracks or [-1], shape.num_joints),
                    place=0 if track is PICTURE else tracks.index(track),
                    scene_tokens_FSD=tokens,
                )
            )
        return windows

    def _together(self, track: int, frames: list[Moment]) -> list[int]:
        """Somebody and who is looked at with them, the best seen first."""
        partner = nearest(track, frames) if self.traits.num_people > 1 else None
        if partner is None:
            return [track]
        return [each for each in best_ranked(frames, len(self._last_sec) + 1) if each in (track, partner)]

    def _forget(self) -> None:
        """Whoever was not found for `keep_sec` is shown and decided about no more; the tracker may know them again."""
        gone = [
            track
            for track, last_sec in self._last_sec.items()
            if self._history.end_sec - last_sec > self.config.keep_sec
        ]
        for track in gone:
            del self._last_sec[track], self._first_sec[track]
            if (standing := self._standings.pop(track, None)) is not None:
                self._ended += standing.finish()

    def _begin_anew(self) -> None:
        """A new shot: nobody of the last one goes on."""
        if self._keeps_last:
            self._left += self._windows(0.0)
        self.num_cuts += 1
        self._is_told = False
        self._ended += [event for standing in self._standings.values() for event in standing.finish()]
        self._history = History(self.traits.window_sec)
        self._standings, self._first_sec, self._last_sec = {}, {}, {}


def decide(predictor: Predictor, windows: Sequence[Window]) -> list[Prediction]:
    """What the model says of each window, of one stream or of many, in one batch; as `predict` would."""
    clips = [
        ClipArrays(
            source="picture" if window.track is PICTURE else f"track {window.track}",
            keypoints_PTKC1=window.keypoints_PTKC1,
            height_px=window.height_px,
            width_px=window.width_px,
            scene_tokens_FSD=window.scene_tokens_FSD,
        )
        for window in windows
    ]
    return predictor.predict_arrays(clips) if clips else []
