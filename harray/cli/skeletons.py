"""Commands that exchange skeletons and keypoints with other programs: import, export."""

import dataclasses
import re
from pathlib import Path
from typing import Annotated

import typer

from harray import recipes
from harray.cli import advice, options
from harray.cli.terminal import Terminal
from harray.errors import InputError
from harray.files import place


def import_(
    pickle: Annotated[
        Path, typer.Argument(metavar="SOURCE", help="File or folder of keypoints; or a skeleton pickle.")
    ],
    store: options.Store,
    skeleton: Annotated[
        str | None,
        typer.Option(
            "--skeleton",
            metavar="NAME",
            help="Layout where files name none; or one to bring joints to by their names.",
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
        typer.Option(
            "--labels",
            metavar="PATH",
            help="Of clips: csv (name,label[,split,group]), JSON, class folders or split files; of numbers: "
            "names, one per line.",
        ),
    ] = None,
    format_: Annotated[
        str | None,
        typer.Option(
            "--format", metavar="NAME", help="Of the files, where content does not tell: openpose, csv ..."
        ),
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(
            "--protocol", help="Official split that becomes train and test: xsub, xview, xset, 1, 2, 3."
        ),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option("--size", metavar="WxH", help="Of the pictures in px, where files do not say."),
    ] = None,
    num_frames: Annotated[int, typer.Option("--frames", min=1, help="Kept per clip, evenly spaced.")] = 32,
    max_people: Annotated[int, typer.Option("--people", min=1, help="Kept per clip, those most seen.")] = 2,
    fps: Annotated[
        float, typer.Option("--fps", help="Of the source videos, for the times of frames.")
    ] = 25.0,
    test_share: options.TestShare = None,
    as_json: options.Json = False,
) -> None:
    """Import keypoints of other tools into a store.

    It can be trained on without videos. Reads OpenPose, AlphaPose, COCO, ultralytics, MediaPipe, MoveNet,
    Kinetics-skeleton, NTU RGB+D, Penn Action, JHMDB, MSR-Action3D, DeepLabCut, SLEAP, Datumaro, and pickles of
    PYSKL and MMAction2. Of a pickle only arrays and plain containers are read; one that asks for more is refused and
    runs nothing.
    """
    from harray.api.keypoints import ImportOptions, import_keypoints

    terminal = Terminal(as_json=as_json)
    how = ImportOptions(
        skeleton=skeleton,
        also=also,
        labels=labels,
        format=format_,
        size_hw=_size(size),
        protocol=protocol,
        num_frames=num_frames,
        max_people=max_people,
        fps=fps,
        test_share=test_share,
    )
    imported = import_keypoints(pickle, store, options=how, reporter=terminal)
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
    part = imported.held_out and dataclasses.asdict(imported.held_out)
    about = {"clips_per_sec": rate, "store": str(place(store).absolute()), "test_part": part}
    terminal.json({**values, **about})


def _size(text: str | None) -> tuple[int, int] | None:
    """ "640x480" as height and width."""
    if text is None:
        return None
    found = re.fullmatch(r"([1-9]\d{0,5})\s*[xX*]\s*([1-9]\d{0,5})", text.strip())
    if found is None:
        raise InputError(f"--size {text}: expected width and height in px, such as 640x480")
    return int(found[2]), int(found[1])


def export(
    pickle: Annotated[Path, typer.Argument(metavar="PKL", help="New file.")],
    store: options.Store,
    overwrite: Annotated[bool, typer.Option("--force", help="Overwrite PKL where it exists.")] = False,
    as_json: options.Json = False,
) -> None:
    """Export a store's clips as a skeleton pickle.

    For PYSKL or MMAction2. It holds the frames that the store holds, and its import has the same rows.
    """
    from harray.api.keypoints import export_keypoints

    exported = export_keypoints(store, pickle, overwrite=overwrite)
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
