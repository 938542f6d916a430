"""The command that cross-validates an experiment and its ablations."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from harray.cli import options
from harray.cli.terminal import session
from harray.workspace import Workspace

if TYPE_CHECKING:
    from harray.validation.cross_validation import CrossValidation


Folds = Annotated[int, typer.Option("--folds", min=2, help="Parts, each held out once.")]
LeaveOneGroupOut = Annotated[
    bool, typer.Option("--leave-one-group-out", help="One fold per group, instead of --folds.")
]
Seeds = Annotated[
    int, typer.Option("--seeds", min=1, help="Trainings of each fold, by training.seed and up.")
]
Without = Annotated[
    list[str] | None,
    typer.Option("--without", help="Also without pcm, pcm-linear, differences, scene or people; repeat."),
]
Variant = Annotated[
    list[str] | None,
    typer.Option("--variant", metavar="'key=value ...'", help="Also with these overrides; repeat."),
]
Hide = Annotated[
    list[str] | None,
    typer.Option(
        "--hide",
        metavar="[KIND:]SHARE",
        help="Also score so occluded: 0.5, whole_joints:0.5, limbs:0.5, spans:0.3, confidence:0.5; repeat.",
    ),
]
Splits = Annotated[
    list[str] | None,
    typer.Option("--splits", help="Whose clips are dealt; repeat. Default: training.train_split."),
]
Workers = Annotated[
    int | None,
    typer.Option("--workers", min=0, help="Trainings at once; default: what the cluster holds; 0: here."),
]


def cross_validate(
    store: options.Store,
    recipe: options.Recipe = "default",
    config: options.ConfigFile = None,
    folds: Folds = 5,
    leave_one_group_out: LeaveOneGroupOut = False,
    seeds: Seeds = 3,
    without: Without = None,
    variant: Variant = None,
    hide: Hide = None,
    splits: Splits = None,
    workers: Workers = None,
    out: options.Out = options.DEFAULT_OUT,
    tracking_uri: options.TrackingUri = None,
    overrides: options.Overrides = None,
    as_json: options.Json = False,
) -> None:
    """Train on all folds but one, score that one, for every fold, seed and variant.

    No held-out clip chooses anything: every training runs all its epochs. Finished trainings are kept under --out,
    and the same command goes on after an interruption. Recorded in MLflow as one run.
    """
    options.check_store(store)
    with session(out, "cross-validate", as_json) as terminal:
        from harray.api.cross_validate import CrossValidateOptions
        from harray.api.cross_validate import cross_validate as validate

        validated = validate(
            store,
            recipe=recipe,
            config=config,
            overrides=overrides,
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
        for text in validated.verdicts.values():
            terminal.result(f"verdict: {text}")
        terminal.json(validated.to_json())


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
