"""Named search spaces: what a sweep varies, and how far. A space is a function that draws values for dotted config
keys, define-by-run, so that one draw may depend on another:

    def mine(draw: Draw) -> None:
        draw.suggest_float("training.learning_rate", 1e-3, 1e-2, log=True)
        if draw.suggest_categorical("model.cfn.enabled", [True, False]):
            draw.suggest_int("model.cfn.num_queries", 1, 4)

`harray tune --search mine.py:mine` takes it from a file. A list or a tuple is drawn as the text that the command
line would take, such as "[1, 2, 4]". What the command line fixes is not searched.
"""

import difflib
import importlib.util
import inspect
import json
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from harray.config import flatten, leaf_types, parse_overrides, with_overrides
from harray.errors import InputError
from harray.experiment import ExperimentConfig

SEARCHED = ("features.", "model.", "training.")  # all else decides what stands in the store
FIXED = (
    "training.train_split",
    "training.val_split",
    "training.val_share",
    "training.seed",
)  # the clips, and luck

SAMPLES = 256  # of a space, to see what it draws from


class Draw(Protocol):
    """The part of `optuna.Trial` that spaces use."""

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float: ...

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int: ...

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any: ...


Search = Callable[[Draw], None]


def pcm(draw: Draw) -> None:
    """Predictive coding: whether it is there, its size, and how much is hidden to learn from."""
    if draw.suggest_categorical("model.pcm.enabled", [True, False]):
        draw.suggest_categorical("model.pcm.num_components", [1, 4, 8])
        draw.suggest_int("model.pcm.hidden_size", 32, 160, step=32)
        draw.suggest_int("model.pcm.num_layers", 1, 2)
        draw.suggest_int("model.pcm.predict_size", 64, 256, step=64)
        draw.suggest_int("model.pcm.refine_size", 16, 64, step=8)
        draw.suggest_categorical("model.pcm.surprise", [True, False])
        draw.suggest_float("training.pcm_rate_factor", 0.5, 4.0, log=True)
    else:
        draw.suggest_categorical("model.pcm.fill", ["zero", "hold", "linear"])
    draw.suggest_float("features.augmentation.hide_probability", 0.2, 0.9)
    draw.suggest_float("features.augmentation.hide_share", 0.3, 0.9)


def mme(draw: Draw) -> None:
    """The micro-movement encoder: which movements it sees, and through what."""
    draw.suggest_int("model.mme.width", 64, 160, step=32)
    draw.suggest_int("model.mme.num_blocks", 1, 4)
    if draw.suggest_categorical("model.mme.head", ["conv", "transformer"]) == "transformer":
        draw.suggest_categorical("model.mme.num_heads", [2, 4, 8])
    else:
        draw.suggest_int("model.mme.kernel_size", 3, 9, step=2)
    draw.suggest_categorical("model.mme.lags", ["[1]", "[1, 2]", "[1, 2, 4]", "[1, 2, 4, 8]"])
    draw.suggest_categorical("model.mme.windows", ["[0]", "[9, 0]", "[5, 15]"])
    draw.suggest_categorical("model.mme.bones", [True, False])
    draw.suggest_categorical("model.mme.distances", [True, False])
    draw.suggest_float("model.mme.dropout", 0.0, 0.3)


def cfn(draw: Draw) -> None:
    """Contextual fusion: whether motion asks the scene, how, and how much of the scene is withheld."""
    if draw.suggest_categorical("model.cfn.enabled", [True, False]):
        draw.suggest_int("model.cfn.width", 32, 128, step=32)
        draw.suggest_categorical("model.cfn.num_heads", [2, 4, 8])
        draw.suggest_int("model.cfn.num_queries", 1, 4)
        draw.suggest_categorical("model.cfn.gate", [True, False])
        draw.suggest_float("model.cfn.dropout", 0.0, 0.5)
        draw.suggest_float("features.augmentation.token_dropout", 0.0, 0.5)
        draw.suggest_float("features.augmentation.token_noise", 0.0, 0.6)
        draw.suggest_float("training.scene_weight", 0.1, 1.0, log=True)


def optimisation(draw: Draw) -> None:
    """How the network learns; its shape stays."""
    draw.suggest_float("training.learning_rate", 1e-3, 1.5e-2, log=True)
    draw.suggest_float("training.weight_decay", 0.01, 0.5, log=True)
    draw.suggest_float("training.warmup_share", 0.05, 0.3)
    draw.suggest_categorical("training.batch_size", [8, 16, 32])
    draw.suggest_float("training.label_smoothing", 0.0, 0.2)
    draw.suggest_float("training.average_decay", 0.95, 0.998)
    draw.suggest_float("training.pose_weight", 0.1, 1.0, log=True)
    draw.suggest_float("model.dropout", 0.0, 0.5)


def all(draw: Draw) -> None:
    """The four others together."""
    for space in (pcm, mme, cfn, optimisation):
        space(draw)


def names() -> list[str]:
    """Every named space."""
    return [name for name, value in globals().items() if _is_space(value)]


def search_named(name: str) -> Search:
    """The space of that name, or of a user's file as `FILE.py:NAME`.

    Raises:
        InputError: no such space; the nearest are listed.
    """
    if ".py:" in name:
        return _from_file(*name.rsplit(":", 1))
    if name not in names():
        near = difflib.get_close_matches(name, names(), n=2) or names()
        raise InputError(f"unknown search {name!r}; nearest: {', '.join(near)}; your own as FILE.py:NAME")
    return globals()[name]


def _from_file(file: str, name: str) -> Search:
    advice = "expected FILE.py:NAME, a function that takes a trial and draws dotted keys"
    spec = importlib.util.spec_from_file_location("harray_user_search", file)
    if spec is None or spec.loader is None or not Path(file).is_file():
        raise InputError(f"search {file}: no such file; {advice}")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise InputError(f"search {file}: {type(error).__name__}: {error}; {advice}") from error
    found = getattr(module, name, None)
    if not inspect.isfunction(found):
        raise InputError(f"search {file}: no function {name!r} in it; {advice}")
    return found


class Drawing:
    """Draws for a space from an inner trial, but for keys that are fixed, which keep the base config's value."""

    def __init__(self, inner: Draw, base: ExperimentConfig, fixed: Sequence[str] = ()):
        self.inner = inner
        self.values = flatten(base)
        self.fixed = set(fixed)

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        if name in self.fixed:
            return self.values[name]
        return self.inner.suggest_float(name, low, high, step=step, log=log)

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        if name in self.fixed:
            return self.values[name]
        return self.inner.suggest_int(name, low, high, step=step, log=log)

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        if name in self.fixed:
            return self.values[name]
        return self.inner.suggest_categorical(name, choices)


class FromConfig:
    """Draws what a config has, or what is nearest to it in the space; a sweep begins there.

    Attributes:
        drawn: key -> value, as a trial's parameters.
    """

    def __init__(self, base: ExperimentConfig):
        self.base = base
        self.values = flatten(base)
        self.drawn: dict[str, Any] = {}

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        value = min(max(self._value(name), low), high)
        self.drawn[name] = value if step is None else low + round((value - low) / step) * step
        return self.drawn[name]

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        value = min(max(self._value(name), low), high)
        self.drawn[name] = min(low + round((value - low) / step) * step, high)
        return self.drawn[name]

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        value = self._value(name)
        typed = [config_values({name: choice}, self.base)[name] for choice in choices]
        if value in typed:
            place = typed.index(value)
        elif {type(each) for each in [value, *typed]} <= {int, float}:
            place = min(range(len(typed)), key=lambda place: abs(typed[place] - value))
        else:
            place = 0
        self.drawn[name] = choices[place]
        return self.drawn[name]

    def _value(self, name: str) -> Any:
        if name in leaf_types(ExperimentConfig) and (not name.startswith(SEARCHED) or name in FIXED):
            raise InputError(
                f"search: {name} cannot be searched: it decides which clips there are, or by what luck; "
                f"expected other keys of {', '.join(part.rstrip('.') for part in SEARCHED)}"
            )
        with_overrides(self.base, {name: self.values.get(name)})  # names an unknown key's neighbours
        return self.values[name]


def config_values(drawn: Mapping[str, Any], base: ExperimentConfig) -> dict[str, Any]:
    """Drawn values as typed overrides of `base`; texts are read as the command line reads them.

    Raises:
        InputError: an unknown key, or a value that its field refuses.
    """
    texts = [f"{name}={value}" for name, value in drawn.items() if isinstance(value, str)]
    plain = {name: value for name, value in drawn.items() if not isinstance(value, str)}
    values = {**parse_overrides(base, texts), **plain}
    typed = flatten(with_overrides(base, values))
    return {name: typed[name] for name in drawn}


def first_point(search: Search, base: ExperimentConfig, fixed: Sequence[str] = ()) -> dict[str, Any]:
    """The base config as a point of the space, so that a sweep never ends worse than it began.

    Raises:
        InputError: the space draws an unknown key, one that cannot be searched, or values that do not fit.
    """
    point = FromConfig(base)
    search(Drawing(point, base, fixed))
    if not point.drawn:
        raise InputError(
            "search: nothing is left to draw; the command line fixes it all, or the space is empty"
        )
    config_values(point.drawn, base)
    return point.drawn


def space_of(search: Search, base: ExperimentConfig, fixed: Sequence[str] = ()) -> tuple[str, ...]:
    """What a space draws from, a line per key, by which two spaces can be told apart whatever their source says.

    Found by drawing often, by the same luck each time, so that all branches are seen but those that are hardly ever
    drawn.
    """
    seen = _Seen()
    for _ in range(SAMPLES):
        search(Drawing(seen, base, fixed))
    return tuple(f"{name}: {' or '.join(sorted(seen.ranges[name]))}" for name in sorted(seen.ranges))


class _Seen:
    """Draws by luck and writes down from what."""

    def __init__(self) -> None:
        self.luck = random.Random(0)
        self.ranges: dict[str, set[str]] = {}

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        self._note(name, f"{float(low):g} to {float(high):g}" + _manner(step, log))
        return self.luck.uniform(low, high)

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        self._note(name, f"{low} to {high}" + _manner(None if step == 1 else step, log))
        return self.luck.randrange(low, high + 1, step)

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        self._note(name, json.dumps(list(choices), default=str))
        return self.luck.choice(list(choices))

    def _note(self, name: str, values: str) -> None:
        self.ranges.setdefault(name, set()).add(values)


def _manner(step: float | None, log: bool) -> str:
    return (f" by {step:g}" if step is not None else "") + (", log" if log else "")


def moved(point: Mapping[str, Any], base: ExperimentConfig) -> dict[str, tuple[Any, Any]]:
    """Key -> the base's value and the point's, where the space does not hold the base's."""
    values, typed = flatten(base), config_values(point, base)
    return {name: (values[name], found) for name, found in typed.items() if found != values[name]}


def _is_space(value: object) -> bool:
    return (
        inspect.isfunction(value)
        and value.__module__ == __name__
        and inspect.get_annotations(value) == {"draw": Draw, "return": None}
    )
