"""``narrower learn``: one training that learns the width of every weight, and gives a whole front."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from narrower.cli.complete import like_run
from narrower.cli.console import messages, print_json, print_table, tell
from narrower.cli.passed_over import refuse_given
from narrower.cli.project import Project
from narrower.cli.train import Target
from narrower.data.catalogue import short_name, wished
from narrower.errors import RunError, SettingsError
from narrower.store.run_directory import RunDirectory, claimed, first_free

if TYPE_CHECKING:
    from narrower.study.learned_front import LearnedRecord

Dataset = Annotated[
    str | None,
    typer.Argument(
        metavar="DATASET", help="A name of 'narrower datasets', a file, or package.module:function."
    ),
]
Hidden = Annotated[
    str, typer.Option("--hidden", help="Sizes of the hidden layers, separated by commas; '' for none.")
]
Epochs = Annotated[int, typer.Option("--epochs", min=1, help="Passes over the training part.")]
Granularity = Annotated[
    str, typer.Option("--granularity", help="What shares a width: weight (nothing), channel or tensor.")
]
MaxWidth = Annotated[
    int,
    typer.Option("--max-width", min=2, max=16, help="Bits of a weight, its sign included, and of data."),
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Of the first weights and the order of samples.")]
TargetEbops = Annotated[
    float | None,
    typer.Option("--target-ebops", min=1, help="Steer the training to this cost, not through all of them."),
]
Budgets = Annotated[
    str | None,
    typer.Option("--budgets", help="Show the best member within each of these ebops instead of all."),
]
DataPath = Annotated[Path | None, typer.Option("--data-path", help="A local copy of the table 'jsc'.")]
Resume = Annotated[
    Path | None, typer.Option("--resume", metavar="RUN", help="Go on with this run.", autocompletion=like_run)
]
Json = Annotated[bool, typer.Option("--json", help="Print the record as JSON.")]

GRANULARITIES = ("weight", "channel", "tensor")


OF_A_NEW_RUN = (
    "dataset",
    "hidden",
    "epochs",
    "granularity",
    "max_width",
    "seed",
    "target_ebops",
    "target",
    "project",
    "data_path",
)


def learn(
    context: typer.Context,
    dataset: Dataset = None,
    hidden: Hidden = "64,32,32",
    epochs: Epochs = 1000,
    granularity: Granularity = "weight",
    max_width: MaxWidth = 16,
    seed: Seed = 0,
    target_ebops: TargetEbops = None,
    budgets: Budgets = None,
    target: Target = None,
    project: Project = None,
    data_path: DataPath = None,
    resume: Resume = None,
    as_json: Json = False,
) -> None:
    """Train linear layers on DATASET (no MODEL is given) while the widths of weights and data are learned.

    The cost in the loss grows as the training goes on, so that one training passes through networks of every
    size; those that no other beats are kept. Writes learned.json and models/ below runs/. A training that was
    killed goes on with --resume. A MODEL of your own learns widths in 'narrower search' with the sampler
    learned.
    """
    sizes, wanted = _numbers("--hidden", hidden), _numbers("--budgets", budgets or "")
    if resume is not None:
        refuse_given(context, OF_A_NEW_RUN, "go with a new training; a run goes on as it began")
        _show(_resumed(resume), resume, wanted, as_json)
        return
    if dataset is None:
        raise SettingsError("give DATASET ('narrower datasets' lists what there is), or --resume RUN")
    if granularity not in GRANULARITIES:
        raise SettingsError(f"--granularity: found {granularity!r}; allowed: {', '.join(GRANULARITIES)}")
    dataset = wished(dataset, target)
    name = project or f"learned-{short_name(dataset)}"
    first_free(name, _is_used)  # a name that is none shows before the work
    from narrower.cli.loaded_data import loaded_data
    from narrower.study.learned_front import learn_front, suited_settings

    data = loaded_data(dataset, data_path)
    settings = suited_settings(
        data, epochs, granularity=granularity, max_width=max_width, target_ebops=target_ebops, seed=seed
    )
    with claimed(name, _is_used) as run, _progress(epochs) as progress:
        record = learn_front(data, sizes, settings, run.path, progress, data_path)
    _show(record, run.path, wanted, as_json)


def _resumed(path: Path) -> "LearnedRecord":
    """What a training that goes on found."""
    from narrower.cli.loaded_data import loaded_data
    from narrower.study.learned_front import learn_front, read_asked

    if not path.is_dir():
        raise RunError(f"{path}: no such run")
    with RunDirectory(path).locked() as run:
        asked = read_asked(run.path)
        data_path = None if asked.data_path is None else Path(asked.data_path)
        data = loaded_data(asked.data_set, data_path)
        if data.content_hash != asked.data_hash:
            raise RunError(f"{path}: the data set {data.name!r} has changed since the run began")
        with _progress(asked.settings.epochs) as progress:
            return learn_front(data, asked.hidden, asked.settings, run.path, progress, data_path)


@contextmanager
def _progress(epochs: int) -> "Iterator[Callable[[int, object], None] | None]":
    from narrower.cli.progress import step_progress

    with step_progress() as report:
        yield (lambda epoch, _: report("epochs", epoch + 1, epochs)) if messages().is_terminal else None


def _show(record: "LearnedRecord", path: Path, wanted: Sequence[int], as_json: bool) -> None:
    if as_json:
        print_json(record.to_dict() | {"run": str(path)})
        return
    shown = record.members
    if wanted:
        within = [[m for m in record.members if m.ebops <= budget] for budget in wanted]
        shown = tuple(dict.fromkeys(members[-1] for members in within if members))
    print_table(
        ["number", "ebops", "validation", "test", "95 % interval", "weights", "mean bits"],
        [
            (
                m.number,
                m.ebops,
                f"{m.validation_value:.4f}",
                f"{m.test_value:.4f}",
                "{:.4f} to {:.4f}".format(*m.test_interval),
                f"{m.weights:,} of {m.all_weights:,}",
                f"{m.mean_bits:.2f}",
            )
            for m in shown
        ],
    )
    tell(
        f"{record.settings['epochs']} epochs: {record.train_seconds:.0f} s of processor time, "
        f"{record.score_seconds:.0f} s for scores, {record.cut_seconds:.0f} s for the last bits, "
        f"{record.teacher_seconds:.0f} s for the teacher; everything: {path}/"
    )


def _numbers(option: str, text: str) -> list[int]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not all(part.isascii() and part.isdigit() and 0 < int(part) <= 10**9 for part in parts):
        raise SettingsError(f"{option}: expected whole numbers from 1, separated by commas, found {text!r}")
    return [int(part) for part in parts]


def _is_used(run: RunDirectory) -> bool:
    return (run.path / "learning.json").exists() or run.trials.exists() or run.checkpoint.exists()
