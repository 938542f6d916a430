"""What the file names of published data sets tell: class, person or source video, splits. Pure.

    NTU RGB+D     SsssCcccPpppRrrrAaaa: setup, camera, performer, repetition, action
    HMDB51, JHMDB <source video>_<class>_<body>_<camera moves>_np<people>_<side>_<quality>_<number>
    UCF101        v_<Class>_gNN_cNN
    Kinetics      <YouTube id>_<start>_<end>, six digits each

Sources: https://github.com/shahroudy/NTURGB-D (names, protocols), Kuehne et al. 2011 (HMDB51), Jhuang et al. 2013.
"""

import dataclasses
import re

_NTU = re.compile(r"S(\d{3})C(\d{3})P(\d{3})R(\d{3})A(\d{3})(?!\d)")
_HMDB = re.compile(r"(.+)_[hufl]_(?:cm|nm)_np\d+_(?:fr|ba|le|ri)_(?:goo|med|bad)_\d+")
_UCF = re.compile(r"v_([A-Za-z0-9]+)_g(\d+)_c\d+")
_KINETICS = re.compile(r"(.+)_(\d{6})_(\d{6})")
_TRAIN = (
    "1 2 4 5 8 9 13 14 15 16 17 18 19 25 27 28 31 34 35 38"  # of NTU60's 40; those of NTU120 beyond follow
)
_TRAIN_120 = (
    "45 46 47 49 50 52 53 54 55 56 57 58 59 70 74 78 80 81 82 83 84 85 86 89 91 92 93 94 95 97 98 100 103"
)
TRAIN_SUBJECTS = frozenset(map(int, f"{_TRAIN} {_TRAIN_120}".split()))
NTU60_SETUPS, NTU60_ACTIONS = 17, 60
PROTOCOLS = ("xsub", "xview", "xset")
NTU_ACTIONS = tuple(
    """
drink water; eat meal/snack; brushing teeth; brushing hair; drop; pickup; throw; sitting down; standing up
(from sitting position); clapping; reading; writing; tear up paper; wear jacket; take off jacket; wear a
shoe; take off a shoe; wear on glasses; take off glasses; put on a hat/cap; take off a hat/cap; cheer up;
hand waving; kicking something; reach into pocket; hopping (one foot jumping); jump up; make a phone
call/answer phone; playing with phone/tablet; typing on a keyboard; pointing to something with finger;
taking a selfie; check time (from watch); rub two hands together; nod head/bow; shake head; wipe face;
salute; put the palms together; cross hands in front (say stop); sneeze/cough; staggering; falling; touch
head (headache); touch chest (stomachache/heart pain); touch back (backache); touch neck (neckache); nausea
or vomiting condition; use a fan (with hand or paper)/feeling warm; punching/slapping other person; kicking
other person; pushing other person; pat on back of other person; point finger at the other person; hugging
other person; giving something to other person; touch other person's pocket; handshaking; walking towards
each other; walking apart from each other; put on headphone; take off headphone; shoot at the basket; bounce
ball; tennis bat swing; juggling table tennis balls; hush (quite); flick hair; thumb up; thumb down; make ok
sign; make victory sign; staple book; counting money; cutting nails; cutting paper (using scissors);
snapping fingers; open bottle; sniff (smell); squat down; toss a coin; fold paper; ball up paper; play magic
cube; apply cream on face; apply cream on hand back; put on bag; take off bag; put something into a bag;
take something out of a bag; open a box; move heavy objects; shake fist; throw up cap/hat; hands up (both
hands); cross arms; arm circles; arm swings; running on the spot; butt kicks (kick backward); cross toe
touch; side kick; yawn; stretch oneself; blow nose; hit other person with something; wield knife towards
other person; knock over other person (hit with body); grab other person's stuff; shoot at other person with
a gun; step on foot; high-five; cheers and drink; carry something with other person; take a photo of other
person; follow other person; whisper in other person's ear; exchange things with other person; support
somebody with hand; finger-guessing game (playing rock-paper-scissors)
""".replace("\n", " ")
    .strip()
    .split("; ")
)
_HMDB51 = """
brush_hair cartwheel catch chew clap climb climb_stairs dive draw_sword dribble drink eat fall_floor fencing
flic_flac golf handstand hit hug jump kick kick_ball kiss laugh pick pour pullup punch push pushup ride_bike
ride_horse run shake_hands shoot_ball shoot_bow shoot_gun sit situp smile smoke somersault stand
swing_baseball sword sword_exercise talk throw turn walk wave
"""
HMDB51_CLASSES = tuple(_HMDB51.split())


@dataclasses.dataclass(frozen=True, kw_only=True)
class NtuName:
    """A sample of NTU RGB+D; all numbers count from 1."""

    setup: int
    camera: int
    performer: int
    action: int

    @property
    def label(self) -> str:
        """The action's name; its number where there is none."""
        known = 1 <= self.action <= len(NTU_ACTIONS)
        return NTU_ACTIONS[self.action - 1] if known else f"A{self.action:03d}"

    @property
    def group(self) -> str:
        return f"P{self.performer:03d}"

    def splits(self) -> list[str]:
        """Cross-subject, cross-view (NTU60 only) and cross-setup, such as xsub_train."""
        is_train = {
            "xsub": self.performer in TRAIN_SUBJECTS,
            "xview": self.camera in (2, 3) if self.setup <= NTU60_SETUPS else None,
            "xset": self.setup % 2 == 0,
        }
        return [
            f"{name}_{'train' if each else 'test'}" for name, each in is_train.items() if each is not None
        ]


def ntu_parts(name: str) -> NtuName | None:
    """The numbers in a name; None where it is not NTU's."""
    found = _NTU.search(name)
    if found is None:
        return None
    setup, camera, performer, _, action = map(int, found.groups())
    return NtuName(setup=setup, camera=camera, performer=performer, action=action)


def hmdb_parts(name: str, folder: str = "") -> tuple[str, str] | None:
    """Class and source video of a clip's name without ending; None where it is not HMDB51's.

    Args:
        folder: where the clip lies, which tells a class that is none of the 51.

    >>> hmdb_parts("Goal_Keeping_Tips_catch_f_cm_np1_fr_med_2")
    ('catch', 'Goal_Keeping_Tips')
    """
    found = _HMDB.fullmatch(name)
    if found is None:
        return None
    for label in sorted({folder, *HMDB51_CLASSES} - {""}, key=lambda each: (each != folder, -len(each))):
        if found[1].endswith(f"_{label}"):
            return label, found[1].removesuffix(f"_{label}")
    return None


def ucf_parts(name: str) -> tuple[str, str] | None:
    """Class and group of a clip's name without ending."""
    found = _UCF.fullmatch(name)
    return (found[1], f"{found[1]}_g{found[2]}") if found else None


def kinetics_parts(name: str) -> tuple[str, float, float] | None:
    """YouTube id, start and end of a clip's name without ending."""
    found = _KINETICS.fullmatch(name)
    return (found[1], float(found[2]), float(found[3])) if found else None
