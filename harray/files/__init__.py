"""Files on disks and in buckets: they appear whole or not at all, and one process works in a folder at a time."""

from harray.files.bucket import BucketError, BucketPath
from harray.files.cache import cache_dir, local_file, local_files
from harray.files.disk import LOCK_FILE, PART_SUFFIX, holding, lock_folder
from harray.files.lease import Lease
from harray.files.lease import take as take_lease
from harray.files.places import (
    File,
    Place,
    delete,
    list_files,
    list_tree,
    move,
    place,
    put_if_absent,
    remove_unfinished,
    unfinished_files,
    write_atomically,
)

__all__ = [
    "LOCK_FILE",
    "PART_SUFFIX",
    "BucketError",
    "BucketPath",
    "File",
    "Lease",
    "Place",
    "cache_dir",
    "delete",
    "holding",
    "list_files",
    "list_tree",
    "local_file",
    "local_files",
    "lock_folder",
    "move",
    "place",
    "put_if_absent",
    "remove_unfinished",
    "take_lease",
    "unfinished_files",
    "write_atomically",
]
