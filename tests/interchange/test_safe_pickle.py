import io
import os
import pickle

import numpy as np
import pytest

from harray.interchange.safe_pickle import ForbiddenPickle, load_plain


class Calls:
    """Pickles as a call of any function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def load(data):
    return load_plain(io.BytesIO(data))


def hidden_in_an_object_array(payload):
    array = np.empty(2, object)
    array[0] = payload
    return array


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "around",
    [
        lambda payload: payload,
        lambda payload: {"annotations": [{"keypoint": payload}]},
        hidden_in_an_object_array,
        lambda payload: [np.zeros(3), np.str_("a"), (payload,)],
    ],
    ids=["bare", "in a field", "in an object array", "after harmless things"],
)
def test_a_call_is_refused_by_its_name_and_leaves_no_trace(tmp_path, around, protocol):
    marker = tmp_path / "marker"
    data = pickle.dumps(around(Calls(os.system, f"touch {marker}")), protocol)
    pickle.loads(data)
    assert marker.exists(), "the payload is real"
    marker.unlink()
    with pytest.raises(ForbiddenPickle):
        load(data)
    assert not marker.exists()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("builtins.eval", pickle.dumps(Calls(eval, "open('marker', 'w')"))),
        ("builtins.getattr", pickle.dumps(Calls(getattr, "a", "upper"))),
        (
            "numpy.f2py.os.system",
            b"\x80\x04\x8c\x05numpy\x8c\x0ef2py.os.system\x93\x8c\x0ctouch marker\x85R.",
        ),
        ("numpy.dtype.__class__", b"\x80\x04\x8c\x05numpy\x8c\x0fdtype.__class__\x93."),
        ("numpy.load", b"cnumpy\nload\n(S'marker'\ntR."),
        ("posix.system", b"(S'touch marker'\niposix\nsystem\n."),  # opcode INST
        ("posix.system", b"(cposix\nsystem\nS'touch marker'\no."),  # opcode OBJ
        ("numpy type 'O8'", pickle.dumps(np.array([None]))),
        ("numpy type 'V8'", pickle.dumps(np.zeros(2, [("a", "f4"), ("b", "i4")]))),
        ("change of a function", b"\x80\x02cnumpy\ndtype\n}X\x04\x00\x00\x00makeK\x01sb."),
        (
            "_codecs.encode to 'rot13'",
            b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x05\x00\x00\x00rot13\x86R.",
        ),
    ],
)
def test_every_name_but_those_of_arrays_is_refused(tmp_path, monkeypatch, name, data):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ForbiddenPickle, match=name):
        load(data)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not a pickle",
        pickle.dumps([1, 2, 3])[:-3],
        pickle.dumps(np.zeros(9))[:-20],
        b"P1\n.",  # a persistent id
        b"\x80\x02]K\x01aQ.",  # a persistent id that is a list
        b"\x80\x02\x82\x01.",  # a registered extension
        b"\x80\x02cbuiltins\nbytes\nJ\xff\xff\xff\x7f\x85R.",  # two gigabytes of zeros
        pickle.dumps(np.zeros(4), 2).replace(
            b"K\x04\x85", b"K\x05\x85"
        ),  # a shape that its bytes do not fill
    ],
)
def test_what_is_damaged_or_no_pickle_is_told_from_what_is_refused(data):
    with pytest.raises(pickle.UnpicklingError) as error:
        load(data)
    assert not isinstance(error.value, ForbiddenPickle)


ARRAYS = [
    np.arange(6, dtype=np.float16).reshape(1, 2, 3),
    np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    np.zeros((0, 17), np.float32),
    np.array([1, 256], ">i4"),
    np.array([True, False]),
    np.array(["wave", "running"]),
    np.array(3.5, np.float32),
]


@pytest.mark.parametrize("module", [b"numpy._core", b"numpy.core"], ids=["numpy 2", "numpy 1"])
@pytest.mark.parametrize("protocol", [0, 1, 2, 3])
@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype}{array.shape}")
def test_arrays_of_numpy_1_and_2_come_back_in_old_protocols(array, protocol, module):
    found = np.asarray(load(pickle.dumps(array, protocol).replace(b"numpy._core", module)))
    assert (found.dtype, found.shape, found.tolist()) == (array.dtype, array.shape, array.tolist())


@pytest.mark.parametrize("protocol", [4, 5])
@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype}{array.shape}")
def test_arrays_come_back_in_new_protocols(array, protocol):
    found = np.asarray(load(pickle.dumps(array, protocol)))
    assert (found.dtype, found.shape, found.tolist()) == (array.dtype, array.shape, array.tolist())


@pytest.mark.parametrize("protocol", range(6))
def test_numpy_scalars_and_containers_become_plain(protocol):
    content = {
        "label": np.int64(3),
        "names": [np.str_("a"), "b"],
        "size": (np.float32(0.5), None, True, b"x"),
    }
    found = load(pickle.dumps(content, protocol))
    assert found == {"label": 3, "names": ["a", "b"], "size": (0.5, None, True, b"x")}
    assert type(found["label"]) is int
    assert type(found["names"][0]) is str


def test_arrays_within_lists_are_read_as_one():
    found = load(pickle.dumps([np.zeros((2, 3)), np.ones((2, 3))]))
    assert np.asarray(found).shape == (2, 2, 3)


def test_an_array_stays_as_it_was_when_the_pickle_goes_on_with_its_bytes():
    data = np.arange(4.0).tobytes()
    buffer = b"\x96" + len(data).to_bytes(8, "little") + data + b"\x94"  # a bytearray, remembered as 0
    dtype = b"cnumpy\ndtype\nX\x02\0\0\0f8\x85R"
    array = b"0cnumpy._core.numeric\n_frombuffer\n(h\x00" + dtype + b"K\x04\x85X\x01\0\0\0CtR"
    grown = b"h\x00(" + b"K\x07" * 5000 + b"e0"  # 5000 more bytes move it elsewhere
    assert np.asarray(load(b"\x80\x05" + buffer + array + grown + b".")).tolist() == [0, 1, 2, 3]


def test_text_of_impossible_characters_is_damage():
    data = pickle.dumps(np.array(["a"]), 2).replace(b"a\x00\x00\x00", b"a\x00\x00\x7f")
    with pytest.raises(pickle.UnpicklingError, match="characters"):
        load(data)
