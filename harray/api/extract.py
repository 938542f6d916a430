"""Videos -> a feature store: list, estimate, extract, try again."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harray.api.session import working
from harray.api.starting import Config, Overrides, start_from
from harray.api.stores import Store, as_store
from harray.config import parse_overrides
from harray.errors import InputError
from harray.extraction.config import ExtractionConfig
from harray.files import Place, place
from harray.names import is_uri
from harray.reporting import SILENT, Reporter
from harray.videos.corrections import Corrections
from harray.videos.listing import Listing
from harray.workspace import Workspace

if TYPE_CHECKING:
    import pyarrow as pa

    from harray.distributed.extraction_estimate import Estimate
    from harray.distributed.extraction_tally import QuarantineLimit


@dataclass(frozen=True, kw_only=True)
class ExtractOptions:
    """What is rarely needed of an extraction."""

    dataset: str | None = None
    """A published data set: ucf101, hmdb51, jhmdb, kinetics, ntu60, ntu120, penn_action, something, jester, diving48,
    finegym; or lists, of MMAction2, SlowFast and PyTorchVideo."""
    splits: str | Path | None = None
    """Folder or file of its official split lists."""
    protocol: str | None = None
    """Which of its splits become train and test: xsub, xview, xset, 1, 2, 3; None: all, each under its own name."""
    classes: Path | None = None
    """Class names, where lists or segments number them."""
    segments: Path | None = None
    """File that says which parts of the videos show what; every part is a clip."""
    tier: str | None = None
    """The only tier of an ELAN file to take."""
    frame_rate: float | None = None
    """Frames per second of folders of pictures, and of segments that count frames."""
    layout: str | None = None
    """What the levels of folders are, such as `split/class`, where their names do not tell."""
    num_actors: int | None = None
    """Ray actors; None for as many as the cluster holds."""
    max_quarantined: str | None = None
    """Stop when more inputs fail than this, such as `5%` or `20`; None never stops."""
    test_share: float | None = None
    """Hold out so large a share as split `test`, whole groups, for good; None leaves the splits as they are."""
    drop: str | Path | None = None
    """Csv whose column `path` names videos to leave out, and to take out of the store; `harray audit` writes one."""
    relabel: str | Path | None = None
    """Csv with the columns `path` and `label`, which replace the manifest's labels."""

    def corrections(self) -> Corrections:
        """What `drop` and `relabel` say.

        Raises:
            InputError: a file that cannot be read so.
        """
        return Corrections.read(*(None if file is None else Path(file) for file in (self.drop, self.relabel)))

    def quarantine_limit(self) -> "QuarantineLimit":
        """`max_quarantined` as a share or a count.

        Raises:
            InputError: neither.
        """
        from harray.distributed.extraction_tally import QuarantineLimit

        return QuarantineLimit.parse(self.max_quarantined) if self.max_quarantined else QuarantineLimit()


class NothingExtracted(InputError):
    """Every video was quarantined; `store` says why."""

    def __init__(self, message: str, store: Store) -> None:
        super().__init__(message)
        self.store = store


def list_source(
    videos: str | Path,
    store: str | Place | None = None,
    options: ExtractOptions = ExtractOptions(),
    *,
    reporter: Reporter = SILENT,
) -> Listing:
    """The videos of a source with what was understood of it; nothing is read but names.

    Args:
        videos: folder of class folders, a manifest.csv, or the root of `options.dataset`; URIs too.
        store: that they are meant for; a test part that it once dealt stays as it was dealt.

    Raises:
        InputError: nothing there, or not understood.
    """
    from harray.store.test_part import check_named, check_share, manifest_as_dealt
    from harray.videos.sources import Beside, survey

    options.quarantine_limit()  # refused before anything is listed
    corrections = options.corrections()
    folder = None if store is None else place(store)
    if options.test_share is not None and folder is not None:
        check_share(folder, options.test_share)
    source = videos if is_uri(videos) else Path(videos)
    with reporter.progress("listing", "files") as update:
        listing = survey(
            source,
            options.dataset,
            options.splits,
            options.layout,
            lambda found: update(found, found),
            Beside(
                protocol=options.protocol,
                classes=options.classes,
                segments=options.segments,
                tier=options.tier,
                fps=options.frame_rate,
            ),
        )
    if options.test_share is not None:
        check_named(str(videos), listing.manifest.to_pylist())
    manifest, corrected = corrections.applied(
        listing.manifest if folder is None else manifest_as_dealt(listing.manifest, folder)
    )
    return replace(listing, manifest=manifest, notes=[*listing.notes, *filter(None, [corrected])])


def extract(
    videos: str | Path | Listing,
    store: str | Place | Store,
    *,
    recipe: str = "default",
    config: Config | None = None,
    overrides: Overrides | None = None,
    options: ExtractOptions = ExtractOptions(),
    workspace: Workspace | None = None,
    reporter: Reporter | None = None,
) -> Store:
    """Bring a store up to date with videos: what it has is not computed again, a broken video is quarantined.

    Args:
        videos: folder of class folders, a manifest.csv, the root of `options.dataset`, or what `list_source` gave.
        store: folder, or a bucket's URI; made where there is none.
        recipe, config, overrides: what decides how clips are cut and which networks read them, as of `start_from`.

    Raises:
        InputError: no videos, settings other than the store's, weights that are not there, or a cluster too small.
        NothingExtracted: every video was quarantined.
    """
    experiment = start_from(recipe, config, overrides).experiment
    path = place(store.path if isinstance(store, Store) else store).absolute()
    with working(workspace, reporter) as (_, told):
        if isinstance(videos, Listing):
            listing = videos
        else:
            listing = list_source(videos, path, options, reporter=told)
            for line in listing.lines():
                told.say(line)
        return _extract(listing.manifest, experiment.extraction, path, options, told)


def estimate(
    videos: str | Path | Listing,
    store: str | Place | Store,
    *,
    recipe: str = "default",
    config: Config | None = None,
    overrides: Overrides | None = None,
    options: ExtractOptions = ExtractOptions(),
    workspace: Workspace | None = None,
    reporter: Reporter | None = None,
) -> "Estimate":
    """What `extract` would do, and how long it may take; nothing is written.

    Raises:
        InputError: as `extract`.
    """
    experiment = start_from(recipe, config, overrides).experiment
    path = place(store.path if isinstance(store, Store) else store).absolute()
    with working(workspace, reporter) as (_, told):
        from harray.distributed.extraction_estimate import estimate as estimated

        listing = videos if isinstance(videos, Listing) else list_source(videos, path, options, reporter=told)
        with told.progress("trying some", "videos") as update:
            return estimated(
                listing.manifest,
                experiment.extraction,
                path,
                options.num_actors,
                update=update,
            )


def retry(
    store: str | Place | Store,
    *,
    stage: str | None = None,
    overrides: Overrides | None = None,
    options: ExtractOptions = ExtractOptions(),
    workspace: Workspace | None = None,
    reporter: Reporter | None = None,
) -> Store:
    """Extract quarantined videos again, with the store's own settings.

    Args:
        stage: only what failed there: open, decode, pose or scene.
        overrides: where weights lie on this machine and what runs them, such as {"poses.weights": PATH}.

    Returns:
        The store; its `summary` is None where nothing was quarantined.

    Raises:
        InputError: no store, weights that are not there, or a cluster too small.
        NothingExtracted: every video was quarantined again.
    """
    options.quarantine_limit()  # refused before anything starts
    there = as_store(store)
    manifest, settings = there.features.quarantined(stage), there.features.settings
    if not len(manifest):
        return Store(there.path)
    parsed: dict[str, Any] = dict(
        overrides
        if isinstance(overrides, dict)
        else parse_overrides(ExtractionConfig(), list(overrides or []))
    )
    with working(workspace, reporter) as (_, told):
        config = settings.provenance.config(parsed)
        return _extract(manifest, config, there.path, options, told, retry=True)


def _extract(
    manifest: "pa.Table",
    config: ExtractionConfig,
    path: Place,
    options: ExtractOptions,
    reporter: Reporter,
    retry: bool = False,
) -> Store:
    from harray.distributed.extraction import Actors
    from harray.distributed.extraction import extract as extract_on_ray
    from harray.store.retire import retire
    from harray.store.test_part import complete, hold_out_test

    summary = extract_on_ray(
        manifest,
        config,
        path,
        actors=Actors(number=options.num_actors),
        limit=options.quarantine_limit(),
        retry=retry,
        reporter=reporter,
    )
    part, command = None, "harray extract"
    if dropped := options.corrections().drop:
        retire(path, dropped, f"{command} --drop")
    if summary.extracted:
        share = options.test_share
        part = complete(path, command) if share is None else hold_out_test(path, share, command)
    store = Store(path, summary, part)
    if not summary.extracted:
        commonest = store.info().reasons[0]
        raise NothingExtracted(
            f"none of the {summary.inputs} videos could be extracted, most often because of {commonest}; mend or "
            f"remove them, then `harray store retry {path}`",
            store,
        )
    return store
