"""Which settings may a first search of a model have? What was seen of model and data stands beside them."""

import json
from collections.abc import Sequence

from narrower.cost.profile import LayerProfile, profile
from narrower.data.parts import DataSet
from narrower.settings.from_options import settings_from_options
from narrower.study.pose import pose
from narrower.study.problem import Problem
from narrower.tasks.task import leading

WIDTHS: dict[str, Sequence[str]] = {"data_in": ("4", "6", "8"), "weight": ("2", "4", "8"), "bias": ("8",)}
FRACTION, SIGN, BATCH_NORM = "auto", "auto", "fold"  # what a file that is new had better say
MOST_TABLES = 12  # layers that have a table of their own; of more, one pattern speaks for all
MOST_PLANS = 10_000  # that are all tried
TRIALS = 300
LEAST_BATCH, MOST_BATCH, BATCHES = (
    16,
    256,
    20,
)  # an epoch has so many batches, where there are samples for that
LEAST_EPOCHS, MOST_EPOCHS, STEPS = 10, 100, 1_000
MOST_NAMES = 8  # classes that are named


def first_settings(model: str, data_set: str, data: DataSet) -> str:
    """A settings file (TOML) for ``narrower search``, with comments.

    Raises:
        NarrowerError: the model cannot be searched on these data; the message says why.
    """
    metric = leading(data.task)
    problem = pose(
        settings_from_options(
            layers=".*",
            widths=WIDTHS,
            fractions=FRACTION,
            objectives=[metric.name, "bitops"],
            bounds=[],
            setup={"sampler": "guided", "n_trials": TRIALS},
            samples=None,
            top={"model": model, "dataset": data_set},
            sign=SIGN,
            batch_norm=BATCH_NORM,
        )
    )
    parts = [_head(model, data_set, data, problem), _space(problem), _strategy(problem, metric.name)]
    return "\n".join(parts)


def _head(model: str, data_set: str, data: DataSet, problem: Problem) -> str:
    rows = profile(problem.program.network).layers
    sizes = " / ".join(f"{len(part):,}" for part in (data.train, data.validation, data.test))
    shape = " x ".join(map(str, data.sizes.sample))
    batch, epochs = _training(len(data.train))
    return f"""\
# A first search of {_one_line(model)} on {_one_line(data_set)}.
#
#   narrower check FILE      what it would do, and how long it takes
#   narrower search --config FILE
#
# Samples: {sizes} for training, validation and test, each {shape}; {_outputs(data)}.
# Model: {sum(row.parameters for row in rows):,} parameters, {sum(row.macs for row in rows):,} \
multiply-accumulates for a sample.
model = {json.dumps(model)}
dataset = {json.dumps(data_set)}
seed = 0

# How the model is trained before the search. With weights of your own nothing is trained: take away the mark.
max_epochs = {epochs}
batch_size = {batch}
learning_rate = 1e-3
# load_name = "weights.safetensors"
"""


def _training(samples: int) -> tuple[int, int]:
    """Batch size and epochs: of few samples smaller batches and more epochs, for steps enough."""
    batch = MOST_BATCH
    while batch > LEAST_BATCH and samples < BATCHES * batch:
        batch //= 2
    batches = max(1, samples // batch)
    return batch, min(MOST_EPOCHS, max(LEAST_EPOCHS, -(-STEPS // batches)))


def _outputs(data: DataSet) -> str:
    task, names = data.task.words.name, [_one_line(name) for name in data.output_names]
    shown = ", ".join(names[:MOST_NAMES]) + (", ..." if len(names) > MOST_NAMES else "")
    return f"{task}: {shown}"


def _space(problem: Problem) -> str:
    rows = {row.layer: row for row in profile(problem.program.network).layers}
    whole = sum(row.macs for row in rows.values())
    layers = problem.space.layers
    by = "name" if len(layers) <= MOST_TABLES else "regex"
    head = f"""\
[search.search_space]
name = "quantize"

[search.search_space.setup]
by = "{by}"
sign = "{SIGN}"        # data that are never below zero have no sign bit; "signed" gives all one
batch_norm = "{BATCH_NORM}"  # into the layers before, as deployed networks have it; "separate" leaves it

# Layers that nothing below names keep 32 bits.
[search.search_space.seed.default.config]
name = ["NA"]
"""
    if by == "name":
        return "\n".join([head, *(_table(name, _described(rows.get(name), whole)) for name in layers)])
    lines = "\n".join(f"#   {name}: {_described(rows.get(name), whole)}" for name in layers)
    return f"{head}\n# The layers that can be rounded:\n{lines}\n{_table('.*', 'every layer alike')}"


def _described(row: LayerProfile | None, whole: int) -> str:
    if row is None:
        return "a layer without work of its own"
    share = f", {row.macs / whole:.0%} of the multiply-accumulates" if whole else ""
    return f"{row.kind}, {row.parameters:,} parameters{share}"


def _table(name: str, comment: str) -> str:
    lines = [f"# {comment}", f"[search.search_space.seed.{json.dumps(name)}.config]", 'name = ["integer"]']
    for operand, widths in WIDTHS.items():
        lines.append(f"{operand}_width = [{', '.join(widths)}]")
        lines.append(f'{operand}_frac_width = ["{FRACTION}"]')
    return "\n".join(lines) + "\n"


def _strategy(problem: Problem, metric: str) -> str:
    size = problem.space.size
    if size <= MOST_PLANS:
        setup = f'sampler = "brute_force"  # all {size:,} plans'
    else:
        setup = f'sampler = "guided"  # finds the best among many; brute_force tries all\nn_trials = {TRIALS}'
        setup += f"  # of {size:,} plans" if size < 10**12 else f"  # of about {size:.0e} plans"
        setup += "\nuniform_first = true  # the same formats in all layers are tried before: does mixing pay?"
    directions = {o.metric: o.direction for o in problem.objectives.each}
    return f"""\
[search.strategy.setup]
{setup}

# What is best is found for each pair of these. Costs: bitops, macs, model_size, average_bitwidth, energy, ...
[search.strategy.metrics]
{metric}.direction = "{directions[metric]}"
bitops.direction = "{directions["bitops"]}"

# Plans outside of bounds on cost are never scored.
# [search.strategy.constraints]
# bitops.max = {max(1, _smallest_bitops(problem) * 4)}
"""


def _smallest_bitops(problem: Problem) -> int:
    return int(problem.costs.ranges()["bitops"][0])


def _one_line(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]
