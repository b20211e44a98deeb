"""The program `narrower`: its commands, and how each way of ending becomes an exit code."""

import os
import sys
import traceback
from importlib.metadata import version
from typing import Annotated

import typer
from typer.exceptions import TyperException

from narrower.cli.check import check
from narrower.cli.compare import compare
from narrower.cli.console import messages, results
from narrower.cli.export import export
from narrower.cli.export_study import export_study
from narrower.cli.groups import groups
from narrower.cli.latency import latency
from narrower.cli.listing import datasets, metrics, models, samplers
from narrower.cli.pick import pick
from narrower.cli.profile import profile
from narrower.cli.report import report
from narrower.cli.resize import resize
from narrower.cli.search import search
from narrower.cli.show import runs, show
from narrower.cli.test import test
from narrower.cli.train import train
from narrower.cli.transform import transform
from narrower.errors import AllTrialsFailedError, NarrowerError
from narrower.tasks.own_code import described, own_place

DONE, OUR_FAULT, USER_CAN_MEND, INTERRUPTED = 0, 1, 2, 130

app = typer.Typer(
    name="narrower",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _say_version(wanted: bool) -> None:
    if wanted:
        results().print(f"narrower {version('narrower')}", markup=False, highlight=False)
        raise typer.Exit


@app.callback()
def options(
    _version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Find the bit widths and channel widths at which a neural network still does its job."""


for command in (
    train,
    test,
    check,
    search,
    compare,
    show,
    runs,
    pick,
    report,
    transform,
    export,
    latency,
    groups,
    resize,
    profile,
    models,
    datasets,
    samplers,
    metrics,
):
    app.command(command.__name__)(command)
app.command("export-study")(export_study)


def main() -> None:
    """Run the command line and exit with its code."""
    # Read when torch is loaded: a thread that waits must not spin. Where others use the cores as well, a
    # search of a small network took 80 times as long with two spinning threads.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code: 0 done, 2 the user can mend it, 1 our fault, 130 Ctrl-C."""
    try:
        code = app(args=arguments, prog_name="narrower", standalone_mode=False)
    except NarrowerError as error:
        messages().print(f"error: {error}", markup=False, style="red")
        return USER_CAN_MEND
    except TyperException as error:
        messages().print(f"error: {error.format_message()}", markup=False, style="red")
        return USER_CAN_MEND
    except AllTrialsFailedError as error:
        messages().print(f"error: {error}", markup=False, style="red")
        return OUR_FAULT
    except (KeyboardInterrupt, typer.Abort):
        messages().print("interrupted", style="red")
        return INTERRUPTED
    except (Exception, SystemExit) as error:  # the last door
        if own_place(error) is not None:  # a model, data or metric of the user's own
            messages().print(f"error: {described(error)}", markup=False, style="red")
            return USER_CAN_MEND
        # What arrives here is a defect of ours.
        messages().print(traceback.format_exc(), markup=False)
        messages().print(
            "error: this is a defect in narrower; please report it with the text above", style="red"
        )
        return OUR_FAULT
    return code if isinstance(code, int) else DONE
