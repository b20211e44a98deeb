"""What is shown of calibration: every range once, up to all of them, and the space is the same."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch

from narrower.data.datasets import load_data_set
from narrower.graph.trace import trace
from narrower.plan.formats.calibration import CalibrationSettings
from narrower.searching.space_settings import LayerChoices, OperandChoices, SpaceSettings
from narrower.study.calibrated_space import calibrated_space

AUTO = OperandChoices((4, 6), ("auto",))
WAYS = {
    "operands": (SpaceSettings("name", (), LayerChoices(("fixed",), AUTO, AUTO, AUTO)), 2 * 3 * 2),
    "edges": (SpaceSettings("name", (), LayerChoices(("fixed",), AUTO, AUTO, AUTO), on_edges=True), 2 * 6),
    "affine": (SpaceSettings("name", (), LayerChoices(("affine",), AUTO, AUTO, AUTO)), 2 * 2),
    "nothing automatic": (SpaceSettings("name", (), LayerChoices(("mxfp4",))), None),
}


@pytest.mark.parametrize("way", WAYS)
def test_each_range_that_is_found_is_told_once_up_to_all(way: str) -> None:
    settings, total = WAYS[way]
    torch.manual_seed(0)
    data = load_data_set("jets")
    model = torch.nn.Sequential(torch.nn.Linear(16, 8), torch.nn.ReLU(), torch.nn.Linear(8, 5)).eval()
    program = trace(model, data.examples)
    told: list[tuple[int, int]] = []
    opened = []

    @contextmanager
    def bar() -> Iterator[Callable[..., None]]:
        opened.append(True)
        yield lambda _name, done, whole: told.append((done, whole))

    calibrated = CalibrationSettings(samples=50)
    settings = SpaceSettings(
        settings.by, (), settings.default, calibration=calibrated, on_edges=settings.on_edges
    )
    space = calibrated_space(program, data, settings, None, None, bar)
    assert told == ([] if total is None else [(done, total) for done in range(total + 1)])
    assert bool(opened) == (total is not None)
    same = calibrated_space(program, data, settings, None, None)
    first = space.options_at(0)
    assert space.size == same.size
    assert space.plan(first) == same.plan(first)
