"""What is wrong with a search from Python is said of its arguments; no key of a settings file shows."""

from typing import Any

import pytest
import torch
from torch import nn

import narrower
from narrower.data.parts import DataSet, Part
from narrower.errors import NarrowerError
from narrower.study.arguments import as_arguments

WIDTHS = {"0": {"data": [4, 8], "weight": [4, 8]}}
WRONG: list[tuple[str, dict[str, Any]]] = [
    ("space['0']['weight']", {"space": {"0": {"data": [4], "bias": [4], "weight": []}}}),
    ("space['nothing']", {"space": {"nothing": {"data": [4]}}}),
    ("constraints['bitops'][1]", {"constraints": {"bitops": (None, 0.0)}}),
    ("constraints['bitops'][0]", {"constraints": {"bitops": (1e12, None)}}),
    ("unknown metric 'acuracy' (did you mean 'accuracy'?)", {"objectives": ["acuracy", "bitops"]}),
    ("samples", {"samples": 1000}),
    (
        "drop_dominated",
        {"drop_dominated": True, "objectives": {"accuracy": "minimize", "bitops": "minimize"}},
    ),
    ("n_trials", {"sampler": "tpe"}),
    ("measure_front", {"measure_front": ["bitops"]}),
    ("objectives: luts", {"objectives": ["luts", "accuracy"], "space": {"0": {"width": [0.5, 1]}}}),
    ("space['2']['width']", {"space": {"2": {"width": [0.5, 1]}}}),
    ("space['0']['data_frac']", {"space": {"0": {"data": [4], "data_frac": ["x"]}}}),
]


@pytest.fixture(scope="module")
def blobs() -> DataSet:
    chance = torch.Generator().manual_seed(3)
    classes = torch.arange(60) % 3
    inputs = torch.randn(60, 4, generator=chance) + classes[:, None]
    parts = [Part(inputs[some], classes[some]) for some in (slice(0, 40), slice(40, 50), slice(50, 60))]
    return DataSet("blobs", *parts, ("a", "b", "c"))


@pytest.mark.parametrize(("said", "given"), WRONG, ids=[said for said, _ in WRONG])
def test_mistakes_name_the_argument(said: str, given: dict[str, Any], blobs: DataSet) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    arguments = {"space": WIDTHS, "objectives": ["accuracy", "bitops"]} | given
    with pytest.raises(NarrowerError) as wrong:
        narrower.search(model, blobs, **arguments)
    assert said in str(wrong.value)
    assert "search." not in str(wrong.value)
    assert "= true" not in str(wrong.value)


def test_keys_become_arguments_wherever_they_stand() -> None:
    assert as_arguments("search.search_space.seed.a.b.config.data_in_width: found 0") == (
        "space['a.b']['data']: found 0"
    )
    assert as_arguments("x; allowed: search.strategy.setup.drop_dominated = false") == (
        "x; allowed: drop_dominated=False"
    )
