"""The program `narrower`: its commands, and how each way of ending becomes an exit code."""

import os
import sys
import traceback
from importlib.metadata import version
from typing import Annotated

import typer

from narrower.cli.check import check
from narrower.cli.compare import compare
from narrower.cli.config import config, schema
from narrower.cli.console import answer, fail, messages, prepare_streams, tell
from narrower.cli.data import data
from narrower.cli.demo import demo
from narrower.cli.doctor import doctor
from narrower.cli.endings import DONE, INTERRUPTED, OUR_FAULT, explanation
from narrower.cli.export import export
from narrower.cli.export_study import export_study
from narrower.cli.finetune import finetune
from narrower.cli.groups import groups
from narrower.cli.init import init
from narrower.cli.latency import latency
from narrower.cli.learn import learn
from narrower.cli.listing import datasets, metrics, models, samplers
from narrower.cli.merge import merge
from narrower.cli.pick import pick
from narrower.cli.profile import profile
from narrower.cli.report import report
from narrower.cli.resize import resize
from narrower.cli.search import search
from narrower.cli.sensitivity import sensitivity
from narrower.cli.show import runs, show
from narrower.cli.test import test
from narrower.cli.train import train
from narrower.cli.transform import transform
from narrower.cli.watch import watch

COMPLETING = "_NARROWER_COMPLETE"  # set by a shell that asks what may come next
app = typer.Typer(
    name="narrower",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _say_version(wanted: bool) -> None:
    if wanted:
        answer(f"narrower {version('narrower')}")
        raise typer.Exit


@app.callback()
def options(
    _version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Find the bit widths and channel widths at which a neural network still does its job."""


for command in (
    demo,
    init,
    train,
    learn,
    test,
    check,
    search,
    finetune,
    merge,
    compare,
    show,
    runs,
    watch,
    pick,
    report,
    transform,
    export,
    latency,
    data,
    groups,
    resize,
    profile,
    sensitivity,
    models,
    datasets,
    samplers,
    metrics,
    schema,
    doctor,
):
    app.command(command.__name__)(command)
app.add_typer(config, name="config")
app.command("export-study")(export_study)


def main() -> None:
    """Run the command line and exit with its code."""
    # Read when torch is loaded: a thread that waits must not spin. Where others use the cores as well, a
    # search of a small network took 80 times as long with two spinning threads.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by who started this process
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - until the end
    code = run(sys.argv[1:])
    try:
        sys.stdout.flush()
    except OSError:  # said already; Python would say it again, less clearly
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code: 0 done, 2 the user can mend it, 1 our fault, 130 Ctrl-C."""
    prepare_streams()
    try:
        code = app(args=arguments, prog_name="narrower", standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        messages().print("interrupted", style="red")
        return INTERRUPTED
    except BrokenPipeError:  # who read the result has seen enough
        return DONE
    except (Exception, SystemExit) as error:  # the last door
        if isinstance(error, SystemExit) and COMPLETING in os.environ:  # a shell has its answer
            return DONE
        if isinstance(error.__context__, BrokenPipeError):  # rich turns it into SystemExit
            return DONE
        explained = explanation(error)
        if explained is not None:
            fail(explained[1])
            return explained[0]
        tell(traceback.format_exc())
        fail("this is a defect in narrower; please report it with the text above")
        return OUR_FAULT
    return code if isinstance(code, int) else DONE
