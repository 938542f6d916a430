"""Commands that compare variants of an experiment by trainings of their own: cross-validate, ablate."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from harray.cli import options
from harray.cli.terminal import session
from harray.workspace import Workspace

if TYPE_CHECKING:
    from harray.api.cross_validate import CrossValidated
    from harray.validation.cross_validation import CrossValidation


NumFolds = Annotated[int, typer.Option("--folds", min=2, help="Number of folds; each is held out once.")]
LeaveOneGroupOut = Annotated[
    bool, typer.Option("--leave-one-group-out", help="One fold per group, instead of --folds.")
]
Seeds = Annotated[
    int, typer.Option("--seeds", min=1, help="Trainings of each fold, with seeds from training.seed up.")
]
Without = Annotated[
    list[str] | None,
    typer.Option("--without", help="Also without pcm, pcm-linear, differences, scene or people; repeatable."),
]
Variant = Annotated[
    list[str] | None,
    typer.Option("--variant", metavar="'key=value ...'", help="Also with these overrides; repeatable."),
]
Hide = Annotated[
    list[str] | None,
    typer.Option(
        "--hide",
        metavar="[KIND:]SHARE",
        help="Also score so occluded: 0.5, whole_joints:0.5, limbs:0.5, spans:0.3, confidence:0.5, or all; repeat.",
    ),
]
Splits = Annotated[
    list[str] | None,
    typer.Option(
        "--splits",
        help="Splits whose clips are divided into folds; repeatable. Default: training.train_split.",
    ),
]
NumWorkers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        min=0,
        help="Trainings at the same time; 0 trains in this process. Default: as many as the cluster holds.",
    ),
]


def cross_validate(
    store: options.Store,
    recipe: options.Recipe = "default",
    config: options.ConfigFile = None,
    init: options.Init = None,
    folds: NumFolds = 5,
    leave_one_group_out: LeaveOneGroupOut = False,
    seeds: Seeds = 3,
    without: Without = None,
    variant: Variant = None,
    hide: Hide = None,
    splits: Splits = None,
    workers: NumWorkers = None,
    out: options.Out = options.DEFAULT_OUT,
    tracking_uri: options.TrackingUri = None,
    overrides: options.Overrides = None,
    as_json: options.Json = False,
) -> None:
    """Score an experiment and its variants in folds.

    Trains on all folds but one and scores that one, for every fold, seed and variant. No held-out clip chooses
    anything: every training runs all its epochs. Finished trainings are kept under --out, and the same command goes
    on after an interruption. Recorded in MLflow as one run.
    """
    options.check_store(store)
    with session(out, "cross-validate", as_json) as terminal:
        from harray.api.cross_validate import CrossValidateOptions
        from harray.api.cross_validate import cross_validate as validate

        validated = validate(
            store,
            recipe=recipe,
            config=config,
            overrides=options.starting_from(init, overrides),
            options=CrossValidateOptions(
                num_folds=None if leave_one_group_out else folds,
                num_seeds=seeds,
                without=without or (),
                variants=variant or (),
                hide=hide or (),
                splits=splits,
                num_workers=workers,
            ),
            workspace=Workspace(out, tracking_uri),
            reporter=terminal,
        )
        found = validated.scores
        how = f"{found.tied_by} held out together"
        terminal.result(
            f"{sum(found.fold_sizes)} clips of {found.num_classes} classes in {len(found.fold_sizes)} folds, "
            f"{how}; {len(found.seeds)} seeds"
        )
        terminal.result(_table(found))
        for name, scores in found.variants.items():
            if scores.calibration is not None:
                terminal.result(f"{name}: {scores.calibration.line}")
        for text in validated.verdicts.values():
            terminal.result(f"verdict: {text}")
        terminal.json(validated.to_json())


def ablate(
    store: options.Store,
    without: Annotated[
        list[str],
        typer.Option("--without", help="pcm, pcm-linear, differences, scene or people; repeatable."),
    ],
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Trainings of each variant.")] = 3,
    split: Annotated[str, typer.Option("--split", help="Which split of the store is scored.")] = "test",
    workers: NumWorkers = None,
    recipe: options.Recipe = "default",
    config: options.ConfigFile = None,
    init: options.Init = None,
    out: options.Out = options.DEFAULT_OUT,
    tracking_uri: options.TrackingUri = None,
    overrides: options.Overrides = None,
    as_json: options.Json = False,
) -> None:
    """Train with and without a part, and compare on one split.

    This is `cross-validate` with the split in place of folds: several seeds each, scored under the same hidden joints,
    gone on with after an interruption, and recorded in MLflow as one run.
    """
    options.check_split(store, split)
    with session(out, "ablate", as_json) as terminal:
        from harray.api.cross_validate import CrossValidateOptions
        from harray.api.cross_validate import cross_validate as validate

        validated = validate(
            store,
            recipe=recipe,
            config=config,
            overrides=options.starting_from(init, overrides),
            options=CrossValidateOptions(
                score_split=split, num_seeds=seeds, without=without, hide=("all",), num_workers=workers
            ),
            workspace=Workspace(out, tracking_uri),
            reporter=terminal,
        )
        for table in _hiding_tables(validated, split):
            terminal.result(table)
        for text in validated.verdicts.values():
            terminal.result(f"verdict: {text}")
        terminal.json({**validated.to_json(), "split": split})


def _hiding_tables(validated: "CrossValidated", split: str) -> Iterator[Table]:
    """A table per kind of occlusion: top-1 of every variant by how much is hidden."""
    for kind, by_share in validated.hiding().items():
        shares = [f"{share:.0%}" for share in by_share]
        table = Table(f"top-1 on {split!r}, occlusion: {kind}", *shares, box=None, pad_edge=False)
        for name in validated.scores.variants:
            spreads = [spreads[name] for spreads in by_share.values()]
            table.add_row(name, *(f"{spread.mean:.3f} ± {spread.std_seeds:.3f}" for spread in spreads))
        yield table


def _table(found: "CrossValidation") -> Table:
    columns = ("top-1", "over folds", "over seeds", "pooled", "macro F1", "s/fold")
    table = Table("", "by", *columns, box=None, pad_edge=False)
    for name, scores in found.variants.items():
        for part, values in scores.parts.items():
            top1, first = values.top1, part == "fusion"
            table.add_row(
                name if first else "",
                part.replace("_", " "),
                f"{top1.mean:.4f}",
                f"± {top1.std_folds:.4f}",
                f"± {top1.std_seeds:.4f}",
                f"{values.pooled_top1:.4f}",
                f"{values.pooled_macro_f1:.4f}",
                f"{scores.train_sec.mean:.1f}" if first else "",
            )
    for name, values in found.floors.items():
        table.add_row(
            "floor" if name == next(iter(found.floors)) else "",
            name.replace("_", " "),
            f"{values.top1.mean:.4f}",
            f"± {values.top1.std_folds:.4f}",
            "",
            f"{values.pooled_top1:.4f}",
            f"{values.pooled_macro_f1:.4f}",
            "",
        )
    return table
