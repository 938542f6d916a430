"""Backgrounds: five scenes, varied in colour, layout, blur and noise. RGB uint8 [240, 320, 3]."""

from collections.abc import Callable

import cv2
import numpy as np

from harray.synth.config import HEIGHT_PX, WIDTH_PX


def background(scene: str, rng: np.random.Generator) -> np.ndarray:
    """A picture of that scene without people."""
    image = np.zeros((HEIGHT_PX, WIDTH_PX, 3), np.uint8)
    horizon = int(rng.uniform(0.58, 0.72) * HEIGHT_PX)
    SCENES[scene](image, horizon, rng)
    if rng.random() < 0.5:
        image = np.ascontiguousarray(image[:, ::-1])
    image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.8, 1.4))
    light = rng.uniform(0.86, 1.1) * (
        1 + np.linspace(-0.08, 0.08, WIDTH_PX)[None, :, None] * rng.choice([-1, 1])
    )
    noise = rng.normal(0, rng.uniform(2, 5), (HEIGHT_PX, WIDTH_PX, 1))
    return np.clip(image * light + noise, 0, 255).astype(np.uint8)


def _near(rng: np.random.Generator, *color: int, spread: int = 12) -> tuple[int, ...]:
    return tuple(int(c) for c in np.clip(np.array(color) + rng.integers(-spread, spread + 1, 3), 0, 255))


def _box(image: np.ndarray, x: float, y: float, width: float, height: float, color: tuple[int, ...]) -> None:
    cv2.rectangle(image, (int(x), int(y)), (int(x + width), int(y + height)), color, -1)


def _gym(image: np.ndarray, horizon: int, rng: np.random.Generator) -> None:
    image[:horizon] = _near(rng, 188, 192, 200)
    image[horizon:] = _near(rng, 176, 124, 70)
    _box(image, 0, 0.52 * horizon, WIDTH_PX, 12, _near(rng, 196, 60, 50, spread=30))
    for y in np.linspace(horizon + 8, HEIGHT_PX, 5):
        _box(image, 0, y, WIDTH_PX, 1, (150, 100, 56))
    x = rng.uniform(0, 40)
    for shelf in range(3):  # a rack of dumbbells on one side, wall bars on the other
        y = horizon - 14 - 18 * shelf
        _box(image, x, y, 66, 3, (70, 70, 76))
        for k in range(4):
            cv2.circle(image, (int(x + 9 + 16 * k), y - 5), 5, (40, 40, 46), -1)
    left = rng.uniform(232, 262)
    for k in range(8):
        _box(image, left, 12 + k * (horizon - 16) / 8, 50, 4, (160, 118, 70))
    _box(image, left - 3, 8, 5, horizon - 8, (138, 98, 56))
    _box(image, left + 48, 8, 5, horizon - 8, (138, 98, 56))


def _street(image: np.ndarray, horizon: int, rng: np.random.Generator) -> None:
    image[:horizon] = _near(rng, 176, 198, 222)
    image[horizon:] = _near(rng, 96, 96, 100)
    x = -rng.uniform(0, 30)
    while x < WIDTH_PX:  # a row of houses
        width, top = rng.uniform(60, 100), rng.uniform(4, 50)
        _box(image, x, top, width, horizon - top, _near(rng, 166, 126, 108, spread=34))
        for row in np.arange(top + 10, horizon - 22, 28):
            for column in np.arange(x + 8, x + width - 14, 24):
                _box(image, column, row, 12, 15, (86, 98, 116))
        x += width + 2
    _box(image, 0, horizon, WIDTH_PX, 9, _near(rng, 172, 170, 166))
    lane = horizon + rng.uniform(0.4, 0.6) * (HEIGHT_PX - horizon)
    for x in np.arange(-rng.uniform(0, 40), WIDTH_PX, 64):
        _box(image, x, lane, 34, 5, (232, 230, 222))


def _field(image: np.ndarray, horizon: int, rng: np.random.Generator) -> None:
    image[:horizon] = np.linspace(_near(rng, 112, 170, 236), _near(rng, 196, 222, 244), horizon)[:, None]
    image[horizon:] = _near(rng, 78, 146, 54)
    for k, y in enumerate(np.linspace(horizon, HEIGHT_PX, 6)[:-1]):
        if k % 2:
            _box(image, 0, y, WIDTH_PX, (HEIGHT_PX - horizon) / 5, _near(rng, 92, 166, 64, spread=4))
    for x in np.arange(-20, WIDTH_PX + 20, 17):  # trees
        cv2.circle(image, (int(x), horizon - 6), int(rng.uniform(10, 19)), _near(rng, 42, 98, 44), -1)
    _box(image, 0, horizon + 0.3 * (HEIGHT_PX - horizon), WIDTH_PX, 3, (236, 240, 232))
    side = rng.choice([18, 232])
    cv2.rectangle(image, (int(side), horizon - 46), (int(side) + 72, horizon + 6), (244, 244, 244), 3)


def _pool(image: np.ndarray, horizon: int, rng: np.random.Generator) -> None:
    image[:] = _near(rng, 64, 182, 206)
    _box(image, 0, 0, WIDTH_PX, 0.22 * horizon, _near(rng, 214, 222, 224))
    for y in np.linspace(0.32 * horizon, HEIGHT_PX - 14, 4):  # lane ropes
        for k, x in enumerate(np.arange(-rng.uniform(0, 12), WIDTH_PX, 12)):
            _box(image, x, y, 11, 4, (226, 70, 60) if k % 2 else (244, 244, 244))
    for _ in range(60):  # glitter
        x, y = rng.uniform(0, WIDTH_PX), rng.uniform(0.3 * horizon, HEIGHT_PX)
        _box(image, x, y, rng.uniform(6, 22), 1, (152, 224, 236))


def _room(image: np.ndarray, horizon: int, rng: np.random.Generator) -> None:
    image[:horizon] = _near(rng, 232, 208, 160)
    image[horizon:] = _near(rng, 116, 66, 60)
    _box(image, 0, horizon - 5, WIDTH_PX, 6, (246, 240, 228))
    left, right = rng.uniform(6, 30), rng.uniform(226, 250)
    _box(image, left, 20, 62, 70, (248, 246, 240))
    _box(image, left + 5, 25, 52, 60, _near(rng, 128, 176, 222))
    _box(image, left + 29, 25, 4, 60, (248, 246, 240))
    _box(image, right, 28, 54, 40, (84, 58, 40))
    _box(image, right + 5, 33, 44, 30, _near(rng, 120, 120, 120, spread=90))
    sofa = _near(rng, 92, 60, 116, spread=40)
    x = rng.choice([0, 210])
    _box(image, x, horizon - 34, 110, 34, sofa)
    _box(image, x, horizon - 14, 110, 26, tuple(int(0.82 * c) for c in sofa))


SCENES: dict[str, Callable[[np.ndarray, int, np.random.Generator], None]] = {
    "gym": _gym,
    "street": _street,
    "field": _field,
    "pool": _pool,
    "room": _room,
}
