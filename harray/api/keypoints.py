"""Keypoints of other tools into a store, and a store's clips out to them."""

from pathlib import Path
from typing import TYPE_CHECKING

from harray.api.session import listener
from harray.api.stores import Store, as_store
from harray.files import Place, place
from harray.interchange.skeleton_import import Imported, ImportOptions, import_skeletons
from harray.reporting import Reporter

if TYPE_CHECKING:
    from harray.interchange.skeleton_export import Exported

__all__ = ["ImportOptions", "Imported", "export_keypoints", "import_keypoints"]


def import_keypoints(
    source: str | Path,
    store: str | Place | Store,
    *,
    options: ImportOptions = ImportOptions(),
    reporter: Reporter | None = None,
) -> Imported:
    """Take keypoints of another tool into a store, ready to train on without videos; the store is made where there is
    none.

    Raises:
        InputError: the file, its layout, its class names or an option cannot be used, and then nothing is written;
            or the store was made with other settings.
    """
    from harray.store.test_part import check_share

    folder = place(store.path if isinstance(store, Store) else store).absolute()
    if options.test_share is not None:
        check_share(folder, options.test_share)
    return import_skeletons(Path(source), folder, options, listener(reporter))


def export_keypoints(store: str | Place | Store, file: str | Path, *, overwrite: bool = False) -> "Exported":
    """Write a store's labelled clips as a skeleton pickle for PYSKL or MMAction2.

    Raises:
        InputError: no store, nothing labelled in it, or a file that exists without `overwrite`.
    """
    from harray.interchange.skeleton_export import export_skeletons

    return export_skeletons(as_store(store).features, Path(file), overwrite=overwrite)
