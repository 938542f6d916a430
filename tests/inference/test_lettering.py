"""Any name in a picture: as it is, or as codes that can be read, never a box or a fault."""

import cv2
import numpy as np
import pytest
from matplotlib.figure import Figure

from harray.evaluation.figures import confusion_figure
from harray.inference import lettering
from harray.inference.lettering import save_figure, text_mask

needs_opencv_5 = pytest.mark.skipif(not hasattr(cv2, "FontFace"), reason="OpenCV 4 has no font beyond ASCII")
NAMES = (
    *("ca$h_$tack", "$", "$$", "$x^2$", r"\$5 or \frac", "a_b^c{d}", "%d 100%"),
    *(
        "跑步",
        "走る",
        "걷다",
        "бег",
        "τρέχω",
        "läuft ß",
        "السلام",
        "दौड़",
        "วิ่ง",
        "run 🏃",
        "a\nb",
        "a\x07b",
        "",
    ),
)


def ink(text: str, angle: float = 0.0) -> np.ndarray:
    """A figure of nothing but this text, bool [height, width]."""
    figure = Figure(figsize=(5, 2), dpi=100)
    figure.text(0.1, 0.3, text, rotation=angle, rotation_mode="anchor")
    canvas = lettering._drawable(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., 0] < 128


@pytest.mark.parametrize("name", NAMES)
def test_any_name_can_be_a_class_and_a_caption(tmp_path, name):
    save_figure(confusion_figure(np.eye(2, dtype=int), [name, "run"]), tmp_path / "a.png")
    assert cv2.imread(str(tmp_path / "a.png")) is not None
    assert text_mask(f"{name}  97%", 34).shape[0] == 34


def test_dollars_are_dollars_and_no_formula():
    figure = Figure()
    plain = figure.text(0, 0, "ca$h_$tack")
    lettering._drawable(figure)
    assert plain.get_text() == "ca$h_$tack"
    assert not plain.get_parse_math()
    assert not np.array_equal(ink("$x$"), ink("x"))


def letters_beyond(monkeypatch) -> None:
    """As on a machine with no fonts but matplotlib's own."""
    monkeypatch.setattr(lettering, "_installed_with", lambda missing: ())


@needs_opencv_5
@pytest.mark.parametrize("pair", ["跑步", "走歩", "걷다", "さく", "カタ"])
def test_where_no_font_is_installed_east_asian_letters_differ_as_boxes_would_not(monkeypatch, pair):
    letters_beyond(monkeypatch)
    first, second = (ink(letter) for letter in pair)
    assert first.any() and second.any()
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, ink("?"))
    assert not np.array_equal(first, ink(f"U+{ord(pair[0]):04X}"))


@pytest.mark.parametrize("letter", ["द", "ว", "🏃", "\x07"])
def test_a_letter_that_no_font_has_is_written_as_its_code(monkeypatch, letter):
    letters_beyond(monkeypatch)
    assert np.array_equal(ink(f"run {letter}"), ink(f"run U+{ord(letter):04X}"))


def test_without_opencv_5_codes_stand_for_what_matplotlib_cannot_write(monkeypatch):
    letters_beyond(monkeypatch)
    monkeypatch.delattr(cv2, "FontFace", raising=False)
    lettering._opencv_has.cache_clear()
    try:
        assert np.array_equal(ink("跑"), ink("U+8DD1"))
    finally:
        lettering._opencv_has.cache_clear()


@needs_opencv_5
@pytest.mark.parametrize("angle", [0, 30, 60, 90])
def test_opencv_letters_stand_where_matplotlib_letters_do(monkeypatch, angle):
    letters_beyond(monkeypatch)
    boxes = []
    for text in ("MMMM", "跑步步"):
        rows, columns = np.nonzero(ink(text, angle))
        boxes.append([rows.max(), columns.min()])
    assert np.abs(np.diff(boxes, axis=0)).max() <= 5


@needs_opencv_5
def test_a_caption_is_the_same_ink_at_the_left(monkeypatch):
    letters_beyond(monkeypatch)
    short, long = text_mask("跑步", 34), text_mask("跑步  97%", 34)
    assert 0 < short.shape[1] < long.shape[1]
    assert np.array_equal(short[:, :-2] > 0.5, long[:, : short.shape[1] - 2] > 0.5)
