"""Settings files of the kinds that people write for MASE/chop, small ones."""

import copy
from collections.abc import Callable, Mapping
from typing import Any

Tables = dict[str, Any]

QUANTIZED = {
    "name": ["integer"],
    "data_in_width": [4, 8],
    "data_in_frac_width": ["NA"],
    "weight_width": [2, 4, 8],
    "weight_frac_width": ["NA"],
    "bias_width": [2, 4, 8],
    "bias_frac_width": ["NA"],
}
LEFT = {"config": {"name": ["NA"]}}
FIXED = {key: value[0] if key == "name" else 8 for key, value in QUANTIZED.items()}
PROXIES = ["grad_norm", "snip", "synflow", "naswot"]
BASIC_TRAIN = {
    "data_loader": "train_dataloader",
    "name": "accuracy",
    "num_samples": 512,
    "max_epochs": 1,
    "optimizer": "adam",
    "lr_scheduler": "linear",
    "learning_rate": 1e-3,
    "num_warmup_steps": 0,
}


def quantizing(layers: Mapping[str, Mapping[str, Any]] | None = None, **top: Any) -> Tables:
    """A search of number formats as the tool's own example has it."""
    given = {"seq_blocks_2": QUANTIZED} if layers is None else layers
    tables: Tables = {
        "model": "jsc-tiny",
        "dataset": "jets",
        "task": "cls",
        "max_epochs": 1,
        "batch_size": 512,
        "learning_rate": 1e-2,
        "accelerator": "cpu",
        "project": "lab",
        "seed": 42,
        "log_every_n_steps": 5,
        "search": {
            "search_space": {
                "name": "graph/quantize/mixed_precision_ptq",
                "setup": {"by": "name"},
                "seed": {"default": LEFT, **{name: {"config": dict(own)} for name, own in given.items()}},
            },
            "strategy": {
                "name": "optuna",
                "eval_mode": True,
                "sw_runner": {"basic_evaluation": {"data_loader": "val_dataloader", "num_samples": 512}},
                "hw_runner": {"average_bitwidth": {"compare_to": 32}},
                "setup": {
                    "n_jobs": 1,
                    "n_trials": 5,
                    "timeout": 20000,
                    "sampler": "tpe",
                    "sum_scaled_metrics": False,
                    "direction": "maximize",
                },
                "metrics": {
                    "accuracy": {"scale": 1.0, "direction": "maximize"},
                    "average_bitwidth": {"scale": 0.2, "direction": "minimize"},
                },
            },
        },
    }
    return copy.deepcopy(tables | top)


def resizing(model: str = "jsc-three-linear-layers", last: str = "seq_blocks_6", **config: Any) -> Tables:
    """A search of widths."""
    middle = "seq_blocks_4" if last == "seq_blocks_6" else "seq_blocks_3"
    layers = {
        "seq_blocks_2": {"name": ["output_only"], "channel_multiplier": [1, 2, 3, 5]},
        middle: {"name": ["both"], "channel_multiplier": [1, 2, 3, 5], **config},
        last: {"name": ["input_only"], "channel_multiplier": [1, 2, 3, 5]},
    }
    tables = changed(
        quantizing(layers, model=model),
        **{
            "search.search_space.name": "graph/quantize/channel_size_modifier",
            "search.strategy.eval_mode": False,
            "search.strategy.metrics": {"accuracy": {"scale": 1.0, "direction": "maximize"}},
        },
    )
    del tables["search"]["strategy"]["hw_runner"]
    return tables


def changed(tables: Tables, **values: Any) -> Tables:
    """Other values at dotted places; None takes a key out."""
    tables = copy.deepcopy(tables)
    for place, value in values.items():
        *path, key = place.split(".")
        holder = tables
        for name in path:
            holder = holder.setdefault(name, {})
        if value is None:
            del holder[key]
        else:
            holder[key] = value
    return tables


def sampler(name: str, **setup: Any) -> Tables:
    setup = {f"search.strategy.setup.{key}": value for key, value in setup.items()}
    return changed(quantizing(), **{"search.strategy.setup.sampler": name, **setup})


def _fractions() -> Tables:
    own = dict(QUANTIZED) | {
        "data_in_width": [16, 8, 12, 8, 4, 32],
        "data_in_frac_width": [8, 6, 4, 2],
        "weight_frac_width": [8, 6, 4, 2],
    }
    return quantizing({"seq_blocks_2": own})


def _combinations() -> Tables:
    eight = list(range(2, 10))
    own = dict(QUANTIZED) | {key: eight for key in QUANTIZED if key != "name"}
    return quantizing({"seq_blocks_2": own})


def _vgg() -> Tables:
    layers = ["feature_layers_0", "feature_layers_3", "feature_layers_7", "classifier_0", "last_layer"]
    own = dict(QUANTIZED) | {"data_in_width": [8], "weight_width": [4, 8], "bias_width": [8]}
    return quantizing(dict.fromkeys(layers, own), model="vgg7", dataset="cifar10", max_epochs=2)


def _by_type() -> Tables:
    seeds = {"linear": QUANTIZED, "seq_blocks_2": QUANTIZED}
    return changed(quantizing(seeds, model="jsc-toy"), **{"search.search_space.setup.by": "type"})


def _moved_runner() -> Tables:
    tables = changed(quantizing(data_loader="val_dataloader"), **{"search.strategy.sw_runner": None})
    tables["search"]["sw_runner"] = {"basic_evaluation": {"num_samples": 200}}
    return tables


def _features() -> Tables:
    tables = resizing()
    config = tables["search"]["search_space"]["seed"]["seq_blocks_4"]["config"]
    del config["channel_multiplier"]
    config.update(in_features=[16, 32], out_features=[16, 32])
    return tables


# What passes `check`, each with what it is expected to say beside.
RUN: dict[str, tuple[Callable[[], Tables], tuple[str, ...]]] = {
    "the example": (quantizing, ("direction: 'maximize' has no effect",)),
    "TPE": (lambda: sampler("TPE"), ()),
    **{
        name: (lambda name=name: sampler(name, n_trials=100), ())
        for name in ("bruteforce", "brute_force", "brute-force", "BruteForce", "brute", "random")
    },
    "nsgaii": (lambda: sampler("nsgaii", n_jobs=4), ()),
    "nsgaiii": (lambda: sampler("NSGAIII"), ()),
    "qmc": (lambda: sampler("qmc"), ()),
    "strategy brute_force": (
        lambda: changed(
            sampler("tpe"), **{"search.strategy.name": "brute_force", "search.strategy.setup.sampler": None}
        ),
        (),
    ),
    "gpu": (lambda: quantizing(accelerator="gpu"), ("accelerator: found 'gpu'",)),
    "weights of another machine": (
        lambda: quantizing(load_type="pl", load_name="/home/me/mase_output/jsc-tiny/best.ckpt"),
        ("load_name: /home/me",),
    ),
    "linear beside a name": (
        lambda: quantizing({"linear": QUANTIZED, "seq_blocks_2": QUANTIZED}),
        ("passed over, since no layer of jsc-tiny that could be changed matches",),
    ),
    "by type": (_by_type, ("passed over, since no layer",)),
    "fractions, options unordered and repeated": (_fractions, ("count once",)),
    "262,144 combinations": (_combinations, ()),
    "passes": (
        lambda: quantizing(
            model="jsc-toy",
            passes={"quantize": {"by": "type", "report": True, "default": LEFT, "linear": {"config": FIXED}}},
        ),
        ("these layers have its formats in every plan: seq_blocks.5, seq_blocks.8",),
    ),
    "a sum with a negative scale": (
        lambda: changed(
            sampler("tpe", sum_scaled_metrics=True),
            **{"search.strategy.metrics.average_bitwidth": {"scale": -0.1, "direction": "maximize"}},
        ),
        (),
    ),
    "bounds of a metric": (
        lambda: changed(
            quantizing(),
            **{"search.strategy.metrics.accuracy": {"scale": 1.0, "lower_bound": 0.1, "upper_bound": 0.9}},
        ),
        (),
    ),
    "the runner below search": (_moved_runner, ()),
    "basic_train of formats": (
        lambda: changed(
            quantizing(),
            **{"search.strategy.eval_mode": False, "search.strategy.sw_runner.basic_train": BASIC_TRAIN},
        ),
        ("basic_train: passed over: name",),
    ),
    "widths": (resizing, ("taken for 'jsc-three-linear-relu'",)),
    "widths without ReLUs between": (lambda: resizing("jsc_three_linear", "seq_blocks_4"), ()),
    "widths with parents": (lambda: resizing(parent=["seq_blocks_2"]), ()),
    "widths, trained": (
        lambda: changed(resizing(), **{"search.strategy.sw_runner.basic_train": BASIC_TRAIN}),
        ("basic_train: passed over: name",),
    ),
    "numbers of channels": (_features, ("the inputs of a layer follow",)),
    "vgg7": (_vgg, ()),
    "jsc from a file": (lambda: quantizing(dataset="jsc", data_path="jets.z"), ()),
    "toy": (
        lambda: quantizing({"seq_blocks_0": QUANTIZED, "linear": QUANTIZED}, model="toy", dataset="toy_tiny"),
        (),
    ),
}


# What does not: each with the places and words that its one message must have.
REFUSED: dict[str, tuple[Callable[[], Tables], tuple[str, ...]]] = {
    "a language model": (
        lambda: quantizing(model="opt", dataset="wikitext2", task="lm"),
        ("model: ", "dataset: ", "task: found 'lm'"),
    ),
    "zero-cost proxies": (
        lambda: changed(
            sampler("tpe"),
            **{
                "search.search_space.name": "graph/software/zero_cost",
                "search.strategy.name": "zero_cost",
                "search.strategy.sw_runner.zero_cost": {"metrics": PROXIES},
                "search.strategy.metrics": {name: {"scale": 1.0} for name in PROXIES},
            },
        ),
        (
            "search_space.name: ",
            "strategy.name: ",
            "sw_runner.zero_cost: ",
        ),
    ),
    "rl": (lambda: changed(quantizing(), **{"search.strategy.name": "rl"}), ("no reinforcement learning",)),
    "naslib": (
        lambda: changed(
            quantizing(),
            **{"search.strategy.name": "naslib", "search.search_space.name": "graph/zero_cost_proxy"},
        ),
        ("strategy.name: found 'naslib'", "no space of a NAS benchmark"),
    ),
    "misspellings everywhere": (
        lambda: changed(
            quantizing(acelerator="cpu"),
            **{
                "search.strategy.setup.n_trial": 3,
                "search.strategy.metrics.acuracy": {"scale": 1.0},
                "search.search_space.seed.seq_blocks_2.config.wieght_width": [4],
                "search.search_space.setup.bye": "name",
            },
        ),
        ("acelerator: unknown", "n_trial: unknown", "acuracy", "wieght_width: unknown", "bye: unknown"),
    ),
    "no layer that exists": (
        lambda: quantizing({"seq_blocks_3": QUANTIZED, "seq_block_2": QUANTIZED}),
        ("seq_blocks_3: ", "did you mean 'seq_blocks.2'?"),
    ),
    "values that are none": (
        lambda: changed(
            quantizing({"seq_blocks_2": dict(QUANTIZED) | {"weight_width": [0, 4], "bias_width": 8}}),
            **{"max_epochs": 0, "search.strategy.setup.n_trials": -1},
        ),
        ("weight_width: found 0", "bias_width: found 8", "max_epochs: found 0", "n_trials: found -1"),
    ),
}
