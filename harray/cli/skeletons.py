"""Commands that exchange skeleton pickles with other programs: import, export."""

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from harray import recipes
from harray.cli import advice, options
from harray.cli.terminal import Terminal


def import_(
    pickle: Annotated[Path, typer.Argument(metavar="PKL", help="Skeleton pickle of PYSKL or MMAction2.")],
    store: Annotated[Path, typer.Option("--store", help="Feature store; made where there is none.")],
    skeleton: Annotated[
        str | None,
        typer.Option(
            "--skeleton",
            metavar="NAME",
            help="Layout where the pickle names none: coco17, ntu25 ..., or generic.",
        ),
    ] = None,
    also: Annotated[
        Path | None,
        typer.Option(
            "--also", metavar="PKL2", help="Other keypoints of the same clips: 3D beside 2D, or the reverse."
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option("--labels", help="Class names, one per line, where the pickle has no label_map."),
    ] = None,
    num_frames: Annotated[int, typer.Option("--frames", min=1, help="Kept per clip, evenly spaced.")] = 32,
    max_people: Annotated[int, typer.Option("--people", min=1, help="Kept per clip, those most seen.")] = 2,
    fps: Annotated[
        float, typer.Option("--fps", help="Of the source videos, for the times of frames.")
    ] = 25.0,
    test_share: options.TestShare = None,
    as_json: options.Json = False,
) -> None:
    """Take a skeleton pickle into a store, ready to train on without videos.

    Only arrays and plain containers are read; a pickle that asks for more is refused and runs nothing.
    """
    from harray.interchange.skeleton_import import ImportOptions, import_skeletons
    from harray.store.test_part import check_share, to_json

    if test_share is not None:
        check_share(store, test_share)
    terminal = Terminal(as_json=as_json)
    how = ImportOptions(
        skeleton=skeleton,
        also=also,
        labels=labels,
        num_frames=num_frames,
        max_people=max_people,
        fps=fps,
        test_share=test_share,
    )
    with terminal.progress("importing", "clips") as update:
        imported = import_skeletons(
            pickle,
            store.absolute(),
            how,
            on_progress=lambda done, total: update(done, total, ""),
        )
    for message in imported.messages:
        terminal.say(message)
    known = "nothing new, all was there before"
    now = f"{imported.computed} computed now" if imported.computed else known
    kinds = " and ".join(name for name in (imported.skeleton, imported.second_skeleton) if name)
    terminal.result(f"{imported.inputs} clips of {kinds} skeletons in {store}; {now}")
    if imported.held_out:
        terminal.result(str(imported.held_out))
    flags = advice.start("skeleton")
    how = options.train_command(store, recipes.recipe_named("skeleton").training, flags)
    terminal.result(f"next: {how}")
    rate = imported.computed / imported.seconds if imported.seconds else 0.0
    values = {name: value for name, value in dataclasses.asdict(imported).items() if name != "held_out"}
    about = {"clips_per_sec": rate, "store": str(store.absolute()), "test_part": to_json(imported.held_out)}
    terminal.json({**values, **about})


def export(
    pickle: Annotated[Path, typer.Argument(metavar="PKL", help="New file.")],
    store: options.Store,
    overwrite: Annotated[bool, typer.Option("--force", help="Overwrite PKL where it exists.")] = False,
    as_json: options.Json = False,
) -> None:
    """Write a store's labelled clips as a skeleton pickle for PYSKL or MMAction2.

    It holds the frames that the store holds, and its import has the same rows.
    """
    from harray.interchange.skeleton_export import export_skeletons
    from harray.store import FeatureStore

    exported = export_skeletons(FeatureStore.open(store), pickle, overwrite=overwrite)
    terminal = Terminal(as_json=as_json)
    left_out = f", {exported.unlabelled} without a label left out" if exported.unlabelled else ""
    terminal.result(
        f"{exported.exported} clips of {exported.skeleton} skeletons{left_out}: {exported.pickle}"
    )
    if exported.left_out:
        terminal.say(f"a pickle holds one kind of keypoints: {exported.left_out} left out")
    people, frames = exported.keypoints_shape[:2]
    flags = {"--store": f"{store}-again", "--frames": frames, "--people": people}
    terminal.result(f"back: {advice.command('skeleton import', pickle, flags=flags)}")
    terminal.json(dataclasses.asdict(exported))
