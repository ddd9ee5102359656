"""The command `retrigger`: which verbs there are, and how their errors reach a person."""

import sys
import traceback
from collections.abc import Sequence
from typing import Any

import typer

from daemon.cli import say
from daemon.errors import RetriggerError
from drift.errors import DriftError
from retrain.errors import RetrainError

UsageError: Any = typer.BadParameter.__mro__[1]
"""What the parser raises for every kind of wrong word; typer exports only its most special case."""

app = typer.Typer(
    name="retrigger",
    help="Keeps a machine-learning trigger honest while the detector under it changes.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.callback()
def common(
    context: typer.Context,
    *,
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error."),
) -> None:
    """Keep a machine-learning trigger honest while the detector under it changes."""
    context.ensure_object(dict)["debug"] = debug


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one verb and leave with 0 good, 1 a verdict is bad, 2 wrong use."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        outcome = app(words, standalone_mode=False, prog_name="retrigger")
    except typer.Exit as leave:
        sys.exit(leave.exit_code)
    except typer.Abort:
        say.complaint("stopped")
        sys.exit(say.WRONG_USE)
    except UsageError as error:
        if not words or words == ["--debug"]:
            sys.stdout.write(error.format_message() + "\n")
            sys.exit(say.WRONG_USE)
        context = getattr(error, "ctx", None)
        hint = f"; see: {context.command_path} --help" if context is not None else ""
        say.complaint(error.format_message().rstrip(".") + hint)
        sys.exit(say.WRONG_USE)
    except (RetriggerError, DriftError, RetrainError) as error:
        _refuse(error, debug="--debug" in words)
        sys.exit(getattr(error, "exit_status", say.WRONG_USE))
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        say.complaint(
            f"the system refused:{where} {error.strerror or error}; check the path, its permissions and the disk"
        )
        if "--debug" in words:
            traceback.print_exc()
        sys.exit(say.WRONG_USE)
    sys.exit(outcome if isinstance(outcome, int) else say.GOOD)


def _refuse(error: Exception, *, debug: bool) -> None:
    say.complaint(str(error))
    if debug:
        traceback.print_exception(error)
