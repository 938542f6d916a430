"""The application: the list of commands, and how each ending becomes an exit code and one line."""

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Generator
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from harray import __version__
from harray.cli import (
    audit,
    bench,
    config,
    data,
    demo,
    export,
    live,
    models,
    registry,
    serve,
    skeletons,
    system,
    tuning,
    validation,
)
from harray.cli.guesses import instead_of
from harray.cli.terminal import Fault, Interrupted
from harray.errors import InputError
from harray.names import without_password

HELP = ("-h", "--help")
EXIT_FAULT, EXIT_INPUT, EXIT_INTERRUPTED = 1, 2, 130


class CommandOrOut(TyperGroup):
    """`harray synth OUT` renders videos; `harray synth pose-weights` is the one named command beside it."""

    def parse_args(self, ctx, args: list[str]) -> list[str]:  # type: ignore[no-untyped-def]
        if args and args[0] not in (*self.commands, *HELP):
            args = ["render", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    name="harray",
    help="From folders of videos to a registered model that recognises human actions and shows why.",
    no_args_is_help=True,
    context_settings={"help_option_names": list(HELP)},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
SYNTH_HELP = """Render labelled videos with their truth.

`harray synth OUT --clips-per-action 20 --seed 0` renders; more in `harray synth render --help`.
"""
synth_app = typer.Typer(cls=CommandOrOut, help=SYNTH_HELP, no_args_is_help=True)
store_app = typer.Typer(help="Look into a feature store, verify it, retry what failed.", no_args_is_help=True)
skeleton_app = typer.Typer(help="Exchange keypoints with other tools.", no_args_is_help=True)
app.add_typer(synth_app, name="synth")
app.add_typer(store_app, name="store")
app.add_typer(skeleton_app, name="skeleton")
bench_app = typer.Typer(help="Measure, and print rates and ratios.", no_args_is_help=True)
app.add_typer(bench_app, name="bench")

COMMANDS: tuple[Callable, ...] = (
    demo.demo,
    data.extract,
    audit.audit,
    models.train,
    models.pretrain,
    tuning.tune,
    tuning.rerun,
    models.evaluate,
    models.predict,
    live.live,
    live.timeline,
    serve.serve,
    export.export,
    validation.ablate,
    validation.cross_validate,
    registry.promote,
    registry.rollback,
    registry.models,
    system.doctor,
    system.recipes,
    config.config,
)
for command in COMMANDS:
    app.command()(command)
synth_app.command("render")(data.synth)
synth_app.command("pose-weights")(data.pose_weights)
store_app.command("info")(data.store_info)
store_app.command("verify")(data.store_verify)
store_app.command("retry")(data.store_retry)
store_app.command("compact")(data.store_compact)
skeleton_app.command("import")(skeletons.import_)
skeleton_app.command("export")(skeletons.export)
bench_app.command("extraction")(bench.extraction)
bench_app.command("training")(bench.training)
bench_app.command("tuning")(bench.tuning)
bench_app.command("live")(bench.live)
bench_app.command("gpu")(bench.gpu)
bench_app.command("scale")(bench.scale)


@app.callback(invoke_without_command=True)
def root(version: bool = typer.Option(False, "--version", help="Print the version and stop.")) -> None:
    if version:
        print(f"harray {__version__}")
        raise typer.Exit


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit: 0 done, 1 a fault of ours, 2 the user must change something.

    Ctrl-C and SIGTERM end with 130.
    """
    sys.exit(_run(arguments))


def _run(arguments: list[str] | None) -> int:
    try:
        with _terminated_as_interrupted():
            code = app(args=arguments, prog_name="harray", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except Interrupted as ending:
        return _complain(f"interrupted; {ending}", EXIT_INTERRUPTED)
    except InputError as error:
        return _complain(str(error), EXIT_INPUT)
    except Fault as fault:
        return _complain(f"a fault of harray's own: {fault}", EXIT_FAULT)
    except typer.TyperException as error:  # the parser refused the command line
        return _refuse(error, sys.argv[1:] if arguments is None else arguments)
    except typer.Exit as ending:
        return ending.exit_code
    except (KeyboardInterrupt, typer.Abort):
        return _complain("interrupted", EXIT_INTERRUPTED)


@contextlib.contextmanager
def _terminated_as_interrupted() -> Generator[None]:
    """Let SIGTERM, by which job managers stop, end a command as Ctrl-C does, so that everything is closed."""

    def interrupt(number: int, frame: object) -> NoReturn:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield  # Python lets only the main thread listen to signals
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _refuse(error: Any, arguments: list[str]) -> int:
    """What the parser found, and whose help to read; or that very help, where a group was named without a command."""
    message = error.format_message()
    if message.startswith("Usage:"):
        print(message, file=sys.stderr)
        return EXIT_INPUT
    names, context = [], error.ctx
    while context is not None and context.parent is not None:
        names.insert(0, context.info_name)
        context = context.parent
    if option := getattr(error, "option_name", None):
        command = error.ctx.command
        instead = instead_of(option, _value_of(option, arguments), command.name or "", command.params)
        message = f"No such option: {option}; {instead}" if instead else message
    return _complain(f"{message} (see `{' '.join(['harray', *names])} --help`)", EXIT_INPUT)


def _value_of(option: str, arguments: list[str]) -> str | None:
    """What was given with an option, as `--epochs 20` or `--epochs=20`."""
    for word, after in zip(arguments, [*arguments[1:], ""], strict=True):
        if word.startswith(f"{option}="):
            return word.partition("=")[2]
        if word == option and after and not after.startswith("-"):
            return after
    return None


def _complain(message: str, code: int) -> int:
    print(f"harray: {without_password(' '.join(message.split()))}", file=sys.stderr)
    return code
