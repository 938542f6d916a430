"""One clip: everything that varies is drawn from its seed, then frames and truth are made.

ClipSpec --stage--> Stage (people in space and image, object, occluder, background) --paint--> frames
                                                                                  \\--> Truth
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from harray.synth import visibility
from harray.synth.actions import ACTIONS
from harray.synth.config import FPS, HEIGHT_PX, MAX_SEC, MIN_SEC, WIDTH_PX, SynthConfig
from harray.synth.draw import Appearance, FigurePainter
from harray.synth.figure import INDEX, NUM_JOINTS, Camera, mirrored, points_in_space
from harray.synth.motions import standing
from harray.synth.objects import OBJECTS, Placed
from harray.synth.people import CLOTHES, Actor, dress, make_actor
from harray.synth.scenes import background
from harray.synth.truth import Truth


@dataclass(frozen=True, kw_only=True)
class ClipSpec:
    """What distinguishes a clip of a set; all else follows from `seed`, `action` and `index`."""

    action: int  # index into ACTIONS
    index: int  # of the clip within its action
    actor: int
    seed: int  # of the set
    split: str
    occluder: bool
    second_person: bool

    @property
    def label(self) -> str:
        return ACTIONS[self.action].name

    @property
    def name(self) -> str:
        return f"{self.label}/{self.label}_{self.index:04d}"


@dataclass(frozen=True, kw_only=True)
class DrawnPerson:
    """One person over a clip; M points of the figure (the 17 joints first), px."""

    points_TM2: np.ndarray
    near_TM: np.ndarray
    scale_px: float
    look: Appearance

    @property
    def joints_TKC(self) -> np.ndarray:
        return self.points_TM2[:, :NUM_JOINTS]

    def box_T4(self) -> np.ndarray:
        """Around all drawn parts."""
        points, margin = self.points_TM2, 0.035 * self.scale_px
        return np.concatenate([points.min(1) - margin, points.max(1) + margin], -1).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A clip before painting."""

    spec: ClipSpec
    scene: str
    backdrop: np.ndarray
    people: tuple[DrawnPerson, ...]  # the actor first
    thing: Placed | None
    occluder_T4: np.ndarray
    occluder_color: tuple[int, int, int]
    light: float


# Actors take their split by place in this row, so that every action has every split from three clips on.
_SPLITS = ("train", "val", "test", "train", "train", "train", "val", "test", "train", "train")


def clip_specs(config: SynthConfig) -> list[ClipSpec]:
    """Every clip of a set, action by action."""
    num_actors = min(config.num_actors, config.clips_per_action)
    rng = np.random.default_rng([config.seed, 5])
    specs = []
    for action in range(len(ACTIONS)):
        chances = rng.random((config.clips_per_action, 2))
        for index, (occluder, second) in enumerate(chances):
            actor = index % num_actors
            specs.append(
                ClipSpec(
                    action=action,
                    index=index,
                    actor=actor,
                    seed=config.seed,
                    split=_SPLITS[actor % len(_SPLITS)],
                    occluder=bool(occluder < config.occluder_share),
                    second_person=bool(second < config.second_person_share),
                )
            )
    return specs


def render_clip(spec: ClipSpec, frames: Sequence[int] | None = None) -> tuple[np.ndarray, Truth]:
    """Frames `[T, 240, 320, 3]` uint8 RGB and their truth.

    Args:
        spec: the clip.
        frames: indices of the frames to paint (below `num_frames(spec)`); all when None. The truth has the
            same frames.
    """
    stage = _stage(spec)
    chosen = np.arange(num_frames(spec)) if frames is None else np.asarray(frames, dtype=int)
    return paint(stage, chosen), _truth(stage, chosen)


def num_frames(spec: ClipSpec) -> int:
    """Length of a clip in frames, 2 to 4 s."""
    return round(float(generator(spec, 0).uniform(MIN_SEC, MAX_SEC)) * FPS)


def generator(spec: ClipSpec, stream: int) -> np.random.Generator:
    return np.random.default_rng([spec.seed, spec.action, spec.index, stream])


def _stage(spec: ClipSpec) -> Stage:
    action, length = ACTIONS[spec.action], num_frames(spec)
    rng = generator(spec, 1)
    scene = action.scenes[rng.integers(len(action.scenes))]
    backdrop = background(scene, generator(spec, 2))
    people = [actor_on_stage(spec, length, backdrop, rng)]
    actor = people[0]
    thing = None
    if action.object:
        thing = OBJECTS[action.object][0](actor.points_TM2, actor.near_TM, actor.scale_px, generator(spec, 3))
    if spec.second_person:
        people.append(_bystander(spec, length, backdrop, actor, generator(spec, 4)))
    rng = generator(spec, 6)
    occluder = _occluder(length, rng) if spec.occluder else np.full((length, 4), np.nan, np.float32)
    return Stage(
        spec=spec,
        scene=scene,
        backdrop=backdrop,
        people=tuple(people),
        thing=thing,
        occluder_T4=occluder,
        occluder_color=CLOTHES[rng.integers(len(CLOTHES))],
        light=float(rng.choice([-0.8, 0.8])),
    )


def actor_on_stage(spec: ClipSpec, length: int, backdrop: np.ndarray, rng) -> DrawnPerson:
    """The clip's actor over so many frames; `rng` is the one that draws motion, camera and clothes."""
    action = ACTIONS[spec.action]
    tempo = rng.uniform(0.8, 1.25)  # cycles a second
    phase = rng.random() + tempo * np.arange(length) / FPS
    motion = action.motion(phase, rng)
    if rng.random() < 0.5:
        motion = mirrored(motion)
    camera = Camera(
        yaw_deg=float(rng.uniform(*action.yaw_deg) * rng.choice([-1, 1])),
        tilt_deg=float(rng.uniform(0, 9)),
        scale_px=float(rng.uniform(0.58, 0.74) * HEIGHT_PX),
        center_px=(float(rng.uniform(0.42, 0.58) * WIDTH_PX), float(rng.uniform(0.90, 0.96) * HEIGHT_PX)),
    )
    return _person(make_actor(spec.seed, spec.actor), motion, camera, backdrop, rng)


def _bystander(spec: ClipSpec, length: int, backdrop: np.ndarray, actor: DrawnPerson, rng) -> DrawnPerson:
    """A smaller person who stands at the side, farther from the actor's middle, facing the camera more or less."""
    phase = rng.random() + np.arange(length) / FPS
    left = actor.points_TM2[:, INDEX["pelvis"], 0].mean() > WIDTH_PX / 2
    place = rng.uniform(0.09, 0.14)
    camera = Camera(
        yaw_deg=float(rng.uniform(-40, 40)),
        tilt_deg=float(rng.uniform(0, 9)),
        scale_px=actor.scale_px * float(rng.uniform(0.62, 0.78)),
        center_px=((place if left else 1 - place) * WIDTH_PX, float(rng.uniform(0.84, 0.9) * HEIGHT_PX)),
    )
    stranger = make_actor(spec.seed, 100_000 + 1000 * spec.action + spec.index)
    return _person(stranger, standing(phase, rng), camera, backdrop, rng)


def _person(actor: Actor, motion, camera: Camera, backdrop: np.ndarray, rng) -> DrawnPerson:
    points, near = camera.project(points_in_space(actor.body, motion))
    x0, y0 = np.clip(points.min((0, 1)), 0, [WIDTH_PX - 8, HEIGHT_PX - 8]).astype(int)
    x1, y1 = np.clip(points.max((0, 1)), [x0 + 8, y0 + 8], [WIDTH_PX, HEIGHT_PX]).astype(int)
    look = dress(actor, rng, backdrop[y0:y1, x0:x1].mean((0, 1)))
    return DrawnPerson(points_TM2=points, near_TM=near, scale_px=camera.scale_px, look=look)


def _occluder(length: int, rng: np.random.Generator) -> np.ndarray:
    """A board that passes through the picture from one side to the other, boxes `[T, 4]` px."""
    width, top = rng.uniform(36, 80), rng.choice([0.0, rng.uniform(0.2, 0.55) * HEIGHT_PX])
    crossing = rng.uniform(1.0, 1.8) * FPS  # frames from side to side
    start = rng.uniform(0, max(1.0, length - crossing))
    left = -width + (WIDTH_PX + width) * (np.arange(length) - start) / crossing
    if rng.random() < 0.5:
        left = WIDTH_PX - width - left
    rows = [left, np.full(length, top), left + width, np.full(length, float(HEIGHT_PX))]
    box = np.stack(rows, -1).astype(np.float32)
    box[(left >= WIDTH_PX) | (left + width <= 0)] = np.nan
    return box


def paint(stage: Stage, chosen: np.ndarray) -> np.ndarray:
    """The chosen frames of a stage, uint8 RGB `[T, 240, 320, 3]`."""
    cv2.setNumThreads(1)
    painters = [FigurePainter(p.points_TM2, p.near_TM, p.look, p.scale_px, stage.light) for p in stage.people]
    images = np.empty((len(chosen), HEIGHT_PX, WIDTH_PX, 3), np.uint8)
    thing = stage.thing
    paint_thing = OBJECTS[ACTIONS[stage.spec.action].object or "ball"][1]
    for image, frame in zip(images, chosen, strict=True):
        image[:] = stage.backdrop
        for painter in painters[1:]:
            painter.paint(image, frame)
        held = None
        if thing is not None:
            held = (thing.near_T[frame], lambda canvas, t=frame: paint_thing(canvas, thing, t))
        painters[0].paint(image, frame, held)
        box = stage.occluder_T4[frame]
        if not np.isnan(box[0]):
            (x0, y0, x1, y1), color = box.astype(int).tolist(), stage.occluder_color
            cv2.rectangle(image, (x0, y0), (x1, y1), color, -1)
            cv2.rectangle(image, (x0, y0), (x1, y1), tuple(int(0.7 * c) for c in color), 3)
    return images


def _truth(stage: Stage, chosen: np.ndarray) -> Truth:
    people, thing = stage.people, stage.thing
    length = len(people[0].points_TM2)
    nothing = np.full((length, 4), np.nan, np.float32)
    visible = []
    for number, person in enumerate(people):
        joints, near = person.joints_TKC, person.near_TM[:, :NUM_JOINTS]
        seen = visibility.in_frame(joints) & visibility.outside_boxes(joints, stage.occluder_T4)
        seen &= visibility.not_behind_parts(
            joints, near, person.points_TM2, person.near_TM, person.scale_px, own=True
        )
        seen[:, :5] &= visibility.facing(person.near_TM, person.look.head)
        if thing is not None and thing.hides:
            nearer = thing.near_T[:, None] > near + 0.05
            seen &= visibility.outside_boxes(joints, thing.box_T4) | ~nearer
        if number:
            front = people[0]
            seen &= visibility.not_behind_parts(
                joints, near - 10.0, front.points_TM2, front.near_TM, front.scale_px, own=False
            )
        visible.append(seen[chosen])
    return Truth(
        keypoints_TPKC=np.stack([p.joints_TKC[chosen] for p in people], 1).astype(np.float32),
        visible_TPK=np.stack(visible, 1),
        person_box_TP4=np.stack([p.box_T4()[chosen] for p in people], 1),
        body_height_P=np.array([p.scale_px for p in people], np.float32),
        object_box_T4=(nothing if thing is None else thing.box_T4)[chosen],
        occluder_box_T4=stage.occluder_T4[chosen],
        label=stage.spec.label,
        scene=stage.scene,
        actor=f"actor{stage.spec.actor:03d}",
    )
