"""Data sets as published: a module a family, and the table of all of them."""

from collections.abc import Callable

from harray.videos.datasets import actions, fixed_splits, kinetics, ntu, penn_action
from harray.videos.datasets.asked import Asked
from harray.videos.listing import Listing

DATASETS: dict[str, Callable[[Asked], Listing]] = {
    "ucf101": fixed_splits.list_ucf101,
    "hmdb51": fixed_splits.list_hmdb51,
    "jhmdb": fixed_splits.list_jhmdb,
    "kinetics": kinetics.list_kinetics,
    "ntu60": ntu.list_ntu60,
    "ntu120": ntu.list_ntu120,
    "penn_action": penn_action.list_penn_action,
    "lists": actions.list_lists,
    "something": actions.list_something,
    "jester": actions.list_jester,
    "diving48": actions.list_diving48,
    "finegym": actions.list_finegym,
    "ava": actions.refuse_ava,
}
