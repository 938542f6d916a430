"""Files on disks and in buckets: they appear whole or not at all, and one process works in a folder at a time."""

from harray.files.bucket import BucketError, BucketPath
from harray.files.cache import cache_dir, local_file, local_files
from harray.files.disk import LOCK_FILE, PART_SUFFIX
from harray.files.lease import Lease
from harray.files.lease import take as take_lease
from harray.files.mirror import (
    Held,
    fetch,
    holding,
    kept,
    local_folder,
    local_of,
    local_tree,
    lock_folder,
    remote_of,
    shown,
)
from harray.files.places import (
    File,
    Place,
    delete,
    list_files,
    list_tree,
    move,
    place,
    put_if_absent,
    remove_tree,
    remove_unfinished,
    send_tree,
    unfinished_files,
    write_atomically,
)

__all__ = [
    "LOCK_FILE",
    "PART_SUFFIX",
    "BucketError",
    "BucketPath",
    "File",
    "Held",
    "Lease",
    "Place",
    "cache_dir",
    "delete",
    "fetch",
    "holding",
    "kept",
    "list_files",
    "list_tree",
    "local_file",
    "local_files",
    "local_folder",
    "local_of",
    "local_tree",
    "lock_folder",
    "move",
    "place",
    "put_if_absent",
    "remote_of",
    "remove_tree",
    "remove_unfinished",
    "send_tree",
    "shown",
    "take_lease",
    "unfinished_files",
    "write_atomically",
]
