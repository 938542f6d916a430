"""Data sets as published: a module a family, and the table of all of them."""

from collections.abc import Callable

from harray.videos.datasets import by_id, fixed_splits, kinetics, lists, ntu, penn_action
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
    "lists": lists.list_lists,
    "something": by_id.list_something,
    "jester": by_id.list_jester,
    "diving48": by_id.list_diving48,
    "finegym": by_id.list_finegym,
    "ava": by_id.refuse_ava,
}
