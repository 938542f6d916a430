"""Pickles of numpy arrays and plain containers, read without running what they name.

A pickle is a program that names functions and calls them. Here a whole name (module and attribute, never a dotted
path into one) leads to a stand-in of ours or is refused. The stand-ins only collect what the file says of an array;
the array is made from it once type, shape and length agree, so that numpy is never handed a forged state either.

Readable are the forms in which numpy 1 and numpy 2 write arrays and scalars, at pickle protocols 0 to 5.
"""

import math
import pickle
import re
import sys
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

PLAIN_DTYPE = re.compile(r"[biuf][1248]|[SU]\d{1,6}")  # numbers, truth values and text; never Python objects


class ForbiddenPickle(pickle.UnpicklingError):
    """The pickle is more than arrays and plain containers; the message says what it asked for."""


def load_plain(file: BinaryIO) -> Any:
    """What a pickle holds: plain containers, numbers and text, and for arrays objects that `np.asarray` reads.

    Raises:
        ForbiddenPickle: it names anything else; nothing of that was imported or called.
        pickle.UnpicklingError: damaged, or no pickle at all.
    """
    try:
        return _PlainUnpickler(file).load()
    except ForbiddenPickle:
        raise
    except Exception as error:  # bytes that are no pickle make the machine stumble in any way
        raise pickle.UnpicklingError(str(error) or type(error).__name__) from error


class PickledArray:
    """An array of a pickle, empty until its state follows."""

    __slots__ = ("array",)

    def __init__(self, array: np.ndarray | None = None):
        self.array = np.empty(0) if array is None else array

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, is_fortran, data = state
        self.array = _array(shape, dtype, "F" if is_fortran else "C", data)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.array, dtype, copy=copy)


class _PickledDtype:
    """An element type of a pickle: its code, and with its state the order of bytes."""

    __slots__ = ("text",)

    def __init__(self, code: Any, *_: Any):
        if not (isinstance(code, str) and PLAIN_DTYPE.fullmatch(code)):
            raise ForbiddenPickle(f"an array of numpy type {str(code)[:20]!r}")
        self.text = code

    def __setstate__(self, state: Any) -> None:
        _, byte_order, *structure = state[:5]
        if structure != [None, None, None] or byte_order not in ("<", ">", "|", "="):
            raise ForbiddenPickle("an array of a structured numpy type")
        self.text = byte_order + self.text


class _Name:
    """What a permitted name stands for; it can be called, and unlike a function nothing can be set on it."""

    __slots__ = ("make",)

    def __init__(self, make: Callable[..., Any]):
        self.make = make

    def __call__(self, *arguments: Any) -> Any:
        return self.make(*arguments)

    def __setstate__(self, state: Any) -> None:
        raise ForbiddenPickle("a change of a function")


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> _Name:
        if (module, name) not in PERMITTED:
            raise ForbiddenPickle(f"{module}.{name}"[:80])
        return _Name(PERMITTED[module, name])


def _array(shape: Any, dtype: _PickledDtype, order: Any, data: Any) -> np.ndarray:
    plain = np.dtype(dtype.text)
    # A bytearray could still grow, and so move, while an array looks at it.
    fixed = data if type(data) is bytes else bytes(memoryview(data))
    if math.prod(shape) * plain.itemsize != len(fixed):
        raise pickle.UnpicklingError(f"{len(fixed)} bytes for an array {shape} of {plain}")
    if plain.kind == "U" and (np.frombuffer(fixed, plain.str[0] + "u4") > sys.maxunicode).any():
        raise pickle.UnpicklingError("text of characters that there are not")
    return np.ndarray(shape, plain, buffer=fixed, order=order)


def _scalar(dtype: _PickledDtype, data: bytes) -> Any:
    return _array((), dtype, "C", data).item()


def _from_buffer(data: Any, dtype: _PickledDtype, shape: Any, order: str, *_: Any) -> PickledArray:
    return PickledArray(_array(shape, dtype, order, data))


def _encode(text: str, encoding: str) -> bytes:
    """How protocols before 3 write bytes."""
    if encoding != "latin1":
        raise ForbiddenPickle(f"_codecs.encode to {str(encoding)[:20]!r}")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    """How protocols before 3 write bytes of length 0."""
    return b""


def _empty_array(*_: Any) -> PickledArray:
    return PickledArray()


PERMITTED: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "ndarray"): _empty_array,
    ("numpy", "dtype"): _PickledDtype,
    ("_codecs", "encode"): _encode,
    ("builtins", "bytes"): _no_bytes,
    ("__builtin__", "bytes"): _no_bytes,
}
for _core in ("numpy.core", "numpy._core"):  # numpy 1, numpy 2
    PERMITTED[f"{_core}.multiarray", "_reconstruct"] = _empty_array
    PERMITTED[f"{_core}.multiarray", "scalar"] = _scalar
    PERMITTED[f"{_core}.numeric", "_frombuffer"] = _from_buffer
