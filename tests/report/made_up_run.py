"""Runs with trials that tests make up, written as a search writes them; no model, no torch."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

from narrower.report.record import DrawnOperator, LayerCost, Member, RunRecord, Summary
from narrower.store.files import write_json, write_text
from narrower.store.run_directory import RunDirectory
from narrower.store.trials import TrialStore

Widths = dict[str, tuple[int, int]]  # bits of data and weight, by layer
METRICS = ("accuracy", "loss", "bitops", "model_size")
BITS = ((4, 8), (2, 4, 8))  # of data, of weights


def options(layer: str) -> list[dict[str, dict[str, str | float]]]:
    """All formats of one layer, the weight's varying fastest."""
    return [
        {layer: {"data": f"fixed({data},frac={data // 2})", "weight": f"fixed({weight},frac={weight // 2})"}}
        for data, weight in product(*BITS)
    ]


def all_widths(layers: Sequence[str]) -> list[Widths]:
    """Every plan in the order of its number: the last layer varies fastest."""
    each = list(product(*BITS))
    return [dict(zip(layers, chosen, strict=True)) for chosen in product(each, repeat=len(layers))]


def bitops(widths: Widths) -> float:
    """100 products in the first layer, 200 in the second, ..."""
    return float(sum(100 * n * d * w for n, (d, w) in enumerate(widths.values(), start=1)))


def model_size(widths: Widths) -> float:
    """100 weights in every layer."""
    return sum(100 * weight / 8 for _, weight in widths.values())


def additive_accuracy(widths: Widths) -> float:
    """0.9 less, by layer: 4 bits of data 0.01; 2 bits of weights 0.10 (later layers 0.05), 4 bits 0.02."""
    lost = 0.0
    for number, (data, weight) in enumerate(widths.values()):
        lost += {4: 0.01, 8: 0.0}[data] + {2: 0.10 if number == 0 else 0.05, 4: 0.02, 8: 0.0}[weight]
    return round(0.9 - lost, 6)


def write_run(
    path: Path,
    *,
    layers: Sequence[str] = ("stem", "head"),
    accuracy: Callable[[Widths], float] = additive_accuracy,
    tried: Sequence[int] | None = None,
    failed: Mapping[int, str] | None = None,
    model: str = "made-up",
    change: Callable[[RunRecord], RunRecord] = lambda record: record,
) -> RunDirectory:
    """Write ``settings.toml``, ``trials.db`` and ``front.json`` of a search for accuracy and bitops.

    ``tried`` are the numbers of the plans in the order of the trials; ``failed`` gives reasons by trial.
    """
    plans = all_widths(layers)
    numbers = list(range(len(plans))) if tried is None else list(tried)
    failed = failed or {}
    run = RunDirectory(path)
    write_text(run.settings, f"# made up\nmodel = {model!r}\n")
    rows = []
    for trial, index in enumerate(numbers):
        reason = failed.get(trial)
        quality = (None, None) if reason else (accuracy(plans[index]), 1 - accuracy(plans[index]))
        values = (*quality, bitops(plans[index]), model_size(plans[index]))
        state = "failed" if reason else "complete"
        rows.append((trial, index, state, reason, 0.001, 0.5 + 0.01 * trial, values))
    facts = {
        "space slots": [options(layer) for layer in layers],
        "sample count": 1000,
        "samples": "validation[:1000]",
        "environment": {
            "created": "2026-01-02T03:04:05+00:00",
            "python": "3.11.7",
            "platform": "here",
            "versions": {"narrower": "0.1.0", "torch": None},
            "git": None,
        },
        "threads": 1,
        "batch size": 1000,
    }
    with TrialStore.create(run.trials, METRICS, facts) as store:
        store.append(rows)
    complete = [(trial, index) for trial, index in enumerate(numbers) if trial not in failed]
    points = [(accuracy(plans[index]), bitops(plans[index])) for _, index in complete]
    first_of = {point: position for position, point in reversed(list(enumerate(points)))}
    members = []
    for position, (trial, index) in enumerate(complete):
        own = points[position]
        beaten = any(a >= own[0] and b <= own[1] and (a, b) != own for a, b in points)
        if beaten or first_of[own] != position:
            continue
        plan: dict[str, dict[str, str | float]] = {}
        for layer, (data, weight) in plans[index].items():
            plan[layer] = options(layer)[[*product(*BITS)].index((data, weight))][layer]
        metrics = {"accuracy": own[0], "bitops": own[1], "model_size": model_size(plans[index])}
        members.append(
            Member(
                number=trial,
                plan_index=index,
                plan=plan,
                metrics=metrics,
                scaled={"accuracy": own[0], "bitops": own[1]},
                interval=(own[0] - 0.02, own[0] + 0.02),
                test_value=own[0] - 0.003,
                test_interval=(own[0] - 0.023, own[0] + 0.017),
                equals=points.count(own) - 1,
                certain=True,
                layer_bitops={
                    layer: 100 * n * d * w for n, (layer, (d, w)) in enumerate(plans[index].items(), start=1)
                },
                layer_bytes={layer: 100 * weight / 8 for layer, (_, weight) in plans[index].items()},
            )
        )
    record = RunRecord(
        model=model,
        data_set="numbers",
        outputs=4,
        sampler="brute_force" if tried is None else "random",
        samples=1000,
        part="validation",
        seed=7,
        objectives=(
            {"metric": "accuracy", "direction": "maximize", "scale": 1.0},
            {"metric": "bitops", "direction": "minimize", "scale": 1.0},
        ),
        float32={
            "accuracy": 0.905,
            "test_accuracy": 0.9,
            "bitops": 102_400.0 * sum(range(len(layers) + 1)),
            "model_size": 400.0 * len(layers),
            "macs": 100 * sum(range(len(layers) + 1)),
            "flops": 200 * sum(range(len(layers) + 1)),
        },
        members=tuple(members),
        summary=Summary(
            space_size=len(plans),
            trials=len(numbers),
            exhausted=tried is None,
            failed=len(failed),
            replayed=0,
            taken_over=0,
            repeated=0,
            drawn=0,
            cut={},
            stopped="complete" if tried is None else "n_trials",
            seconds=1.5,
            evaluation_seconds=1.0,
            first_failure=next(iter(failed.values()), None),
            loss_rank_correlation=None,
            correlation_plans=0,
        ),
        warnings=(),
        layers=tuple(
            LayerCost(layer, "Linear", 100, 100 * n, 200 * n, 102_400 * n, 400.0)
            for n, layer in enumerate(layers, start=1)
        ),
        constraints=(),
        worst_costs={"bitops": 6400.0 * sum(range(len(layers) + 1))},
    )
    write_json(run.front, change(record).to_dict())
    return run


def without_weights(record: RunRecord) -> RunRecord:
    """As of a search that trained each candidate: no weights were kept, so there are no test accuracies."""
    members = tuple(replace(m, test_value=None, test_interval=None, certain=None) for m in record.members)
    return replace(record, members=members)


def drawn_network(record: RunRecord) -> RunRecord:
    """The record with a picture of its network: two layers, and an addition past the second."""
    operators = (
        DrawnOperator("a", "conv2d", "stem", ("x",), (8, 16)),
        DrawnOperator("b", "relu", "relu", ("a",), (8, 16)),
        DrawnOperator("c", "linear", "head", ("b",), (16,)),
        DrawnOperator("d", "add", "add", ("a", "c"), (16,)),
    )
    return replace(record, network=operators)
