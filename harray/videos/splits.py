"""Names of splits: which are usual, which only look like it. One place for folders and for csv columns."""

import re
import unicodedata
from collections.abc import Iterable

from harray.errors import InputError

USUAL = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "validate": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
    "eval": "test",
    "evaluation": "test",
}
# In the order in which they are tried: the longer of two words that begin alike first.
_WORD = re.compile(
    r"(?P<split>training|train|validation|validate|valid|val|dev|testing|test|evaluation|eval|holdout|heldout)"
    r"|(?P<filler>set|split|data|part|videos?|clips?|[ _.-]+)"
    r"|(?P<number>[0-9]+)"
)
_NUMBERED = re.compile(r"(fold|split|part|set)[ _.-]*[0-9]+")  # such as fold1


def tidy(name: str) -> str:
    """A name as it is compared and shown: composed (macOS decomposes accents), without blanks around it."""
    return unicodedata.normalize("NFC", name).strip()


def split_named(name: str) -> str | None:
    """train, val or test, where a name usually means that, in any case and with words such as "set" beside it.

    >>> split_named("Validation"), split_named("test_set"), split_named("train1"), split_named("run")
    ('val', 'test', None, None)
    """
    words = _words(name)
    splits = [word for kind, word in words if kind == "split"]
    if len(splits) != 1 or any(kind == "number" for kind, _ in words):
        return None
    return USUAL.get(splits[0])


def looks_like_split(name: str) -> bool:
    """Whether a name consists of nothing but what names of splits are made of, understood or not.

    >>> [looks_like_split(name) for name in ("train", "Test-2", "trainval", "fold1", "training dog", "split")]
    [True, True, True, True, False, False]
    """
    return any(kind == "split" for kind, _ in _words(name)) or bool(
        _NUMBERED.fullmatch(tidy(name).casefold())
    )


def canonical_splits(names: Iterable[str], where: str) -> dict[str, str]:
    """Name -> split, the usual ones as train, val and test, others as they are.

    Raises:
        InputError: two words for one split, such as val and dev; they may be two.
    """
    canonical = {name: split_named(name) or name for name in names}
    spellings: dict[str, dict[str, str]] = {}
    for name, split in canonical.items():
        spellings.setdefault(split, {}).setdefault(name.casefold(), name)
    for split, ways in spellings.items():
        if len(ways) > 1:
            raise InputError(
                f"{where}: {' and '.join(sorted(ways.values()))} both usually mean the split {split}; give them one "
                "name, or one of them another, such as holdout"
            )
    return canonical


def renamed(called: dict[str, str]) -> list[str]:
    """A note of the names that `canonical_splits` gave others; those in other case are not worth it."""
    told = [
        f"{name} is {split}" for name, split in sorted(called.items()) if name.casefold() != split.casefold()
    ]
    return [f"splits under their usual names: {', '.join(told)}"] if told else []


def _words(name: str) -> list[tuple[str, str]]:
    """(kind, word) one after another; empty where something else stands between them."""
    text, found, place = tidy(name).casefold(), [], 0
    while place < len(text):
        match = _WORD.match(text, place)
        if match is None:
            return []
        found.append((str(match.lastgroup), match.group()))
        place = match.end()
    return found
