"""The command that cross-validates an experiment and its ablations."""

import math
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from harray.cli import options
from harray.cli.terminal import session
from harray.config import parse_overrides, with_overrides
from harray.errors import InputError
from harray.experiment import ExperimentConfig

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
    experiment = options.build_config(recipe, config, overrides)
    options.check_store(store)
    with session(out, "cross-validate", as_json) as terminal:
        from harray.api.comparisons import (
            Found,
            check_tracking,
            cross_validation_metrics,
            record_comparison,
        )
        from harray.api.cross_validate import cross_validate, plan_cross_validation
        from harray.store.leaks import doubles_apart, ledger_rows
        from harray.validation.verdicts import verdicts_of_cross_validation

        plan = plan_cross_validation(
            store.absolute(),
            _variants(experiment, without or [], variant or []),
            splits=splits,
            num_folds=None if leave_one_group_out else folds,
            num_seeds=seeds,
            occlusions=[_occlusion(text) for text in hide or []],
        )
        check_tracking(out, tracking_uri)
        if num := doubles_apart(ledger_rows(plan.store)):
            terminal.say(
                f"note: {num} files stand under several names in different groups, so in several folds; "
                f"`harray audit {store}` lists them"
            )
        with terminal.progress("training", "models") as update:
            found = cross_validate(plan, out, num_workers=workers, on_progress=update)
        how = f"{found.tied_by} held out together"
        terminal.result(
            f"{sum(found.fold_sizes)} clips of {found.num_classes} classes in {len(found.fold_sizes)} folds, "
            f"{how}; {len(found.seeds)} seeds"
        )
        terminal.result(_table(found))
        said = verdicts_of_cross_validation(found)
        for text in said.values():
            terminal.result(f"verdict: {text}")
        what = Found("cross-validate", cross_validation_metrics(found), found.to_json(), said)
        run_id = record_comparison(what, store, experiment, out, tracking_uri, str(config or recipe))
        terminal.json({**found.to_json(), "verdicts": said, "run_id": run_id})


def _variants(
    experiment: ExperimentConfig, without: list[str], variants: list[str]
) -> dict[str, ExperimentConfig]:
    """`full`, then what is left out, then what is overridden, by name."""
    from harray.validation.ablations import variants_without

    named = {
        name: with_overrides(experiment, {f"model.{key}": value for key, value in parts.items()})
        for name, parts in variants_without(without).items()
    }
    for text in variants:
        if text in named:
            raise InputError(f"--variant {text!r}: given twice; name each once")
        named[text] = with_overrides(experiment, parse_overrides(experiment, text.split()))
    return named


def _occlusion(text: str) -> tuple[str, float]:
    """Kind and share of `limbs:0.5`; joints where no kind is named."""
    from harray.evaluation.occlusion import KINDS

    kind, _, share = text.rpartition(":")
    try:
        value = float(share)
    except ValueError:
        value = math.nan
    if (kind or "joints") not in KINDS or not 0 <= value <= 1:
        raise InputError(
            f"--hide {text!r}: expected a share in [0, 1], or KIND:SHARE with {', '.join(KINDS)}"
        )
    return kind or "joints", value


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
