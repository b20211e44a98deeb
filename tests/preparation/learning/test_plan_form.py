"""Learned networks as plans: the engine scores them as they are deployed, and files keep every bit."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from narrower.data.parts import Part
from narrower.errors import SettingsError
from narrower.evaluate.evaluator import Evaluator
from narrower.graph.lower import lower
from narrower.graph.trace import trace
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.formats.fixed_each import FixedEach
from narrower.plan.plan import plan_from_dict, plan_to_dict
from narrower.preparation.learning.deployed import LearnedChain
from narrower.preparation.learning.freeze import fit_widths, without_idle
from narrower.preparation.learning.plan_form import as_model, chain_of, plan_of
from narrower.report.plan_text import short_layer
from narrower.transform.quantizers.quantize import quantize
from tests.preparation.learning.test_deployed import random_chain, samples


def _chain(seed: int, wrap: bool) -> LearnedChain:
    first, *others = without_idle(random_chain(seed, sparsity=0.3)).layers
    return LearnedChain((first, *(replace(layer, data_wrap=wrap) for layer in others)))


@pytest.mark.parametrize("wrap", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_the_engine_scores_what_is_deployed(seed: int, wrap: bool) -> None:
    chain, inputs = _chain(seed, wrap), samples(seed, 300)
    model, names = as_model(chain)
    plan = plan_of(chain, names)
    targets = torch.randint(0, 2, (300,), generator=torch.Generator().manual_seed(seed))
    part = Part(torch.from_numpy(inputs), targets)
    evaluator = Evaluator(lower(trace(model, part.inputs[:3])), part)
    assert (evaluator.outputs(plan, part.inputs).numpy() == chain.outputs(inputs)).all()
    (quality,) = evaluator.evaluate([plan])
    whole, _ = chain.whole_outputs(inputs)
    assert quality.sums["accuracy"] == (int((whole.argmax(1) == targets.numpy()).sum()),)


def test_a_plan_and_weights_are_the_network_again() -> None:
    chain = fit_widths(_chain(3, wrap=True), samples(3))
    model, names = as_model(chain)
    again = chain_of(model.state_dict(), plan_of(chain, names), names)
    assert plan_of(again, names) == plan_of(chain, names)
    assert again.ebops == chain.ebops
    assert again.whole_outputs(samples(9))[1] == chain.whole_outputs(samples(9))[1]
    assert (again.outputs(samples(9)) == chain.outputs(samples(9))).all()


def test_a_plan_refers_to_arrays_by_their_digest() -> None:
    chain = _chain(1, wrap=False)
    plan = plan_of(chain, ["a", "b", "c"])
    tables = plan_to_dict(plan)
    known = {layer.weight.text: layer.weight for _, layer in plan.layers}
    known |= {layer.data.text: layer.data for _, layer in plan.layers}
    known |= {layer.bias.text: layer.bias for _, layer in plan.layers}
    assert plan_from_dict(tables, known) == plan
    bare = plan_from_dict(tables)  # without the arrays it can be shown, and the arrays be found
    assert plan_to_dict(bare) == tables
    widths = [layer.weight_widths + (layer.weights != 0) for layer in chain.layers]
    for name, own in zip("abc", widths, strict=True):
        assert bare.layer(name).weight.bits == own.max()
        assert short_layer(tables[name]).split("/")[1] == f"{own.mean():.3g}"
    with pytest.raises(SettingsError, match="example: fixed_each"):
        plan_from_dict({"a": {"weight": "fixed_each(8)"}})
    other = plan_of(_chain(2, wrap=False), ["a", "b", "c"])
    assert other != plan
    assert plan_to_dict(other)["a"]["weight"] != tables["a"]["weight"]


def test_entries_round_half_up_in_their_own_formats() -> None:
    widths, fracs, signs = (np.array(x, np.int8) for x in ([3, 3, 0, 2], [1, -1, 4, 0], [1, 1, 0, 0]))
    x = torch.tensor([[0.25, 3.0, 9.0, 2.5], [-0.75, -3.0, 9.0, -1.0], [9.0, -99.0, 9.0, 7.0]])
    # steps of 1/2 in -2 to 1.5; of 2 in -8 to 6; zero; of 1 in 0 to 3
    saturated = torch.tensor([[0.5, 4.0, 0.0, 3.0], [-0.5, -2.0, 0.0, 0.0], [1.5, -8.0, 0.0, 3.0]])
    assert torch.equal(quantize(x, FixedEach(widths, fracs, signs)), saturated)
    symmetric = quantize(x, FixedEach(widths, fracs, signs, "symmetric"))
    assert symmetric[2].tolist() == [1.5, -6.0, 0.0, 3.0]
    # 18 steps of 1/2 are 2 in 3 bits (1.0); -49 steps of 2 are -1; 7 is 3, and -1 is 3, in 2 bits
    wrapped = quantize(x, FixedEach(widths, fracs, signs, "wrap"))
    assert wrapped[1:].tolist() == [[-0.5, -2.0, 0.0, 3.0], [1.0, -2.0, 0.0, 3.0]]


@pytest.mark.parametrize("width", [2, 5, 8])
def test_equal_entries_are_the_format_of_a_tensor_but_for_ties(width: int) -> None:
    x = torch.randn(500, 3, generator=torch.Generator().manual_seed(0)) * 4
    widths, fracs, signs = (np.full(3, value, np.int8) for value in (width, 1, 1))
    assert torch.equal(quantize(x, FixedEach(widths, fracs, signs)), quantize(x, FixedPoint(width, 1)))


def test_arrays_of_different_shapes_are_refused() -> None:
    with pytest.raises(SettingsError, match="differ in shape"):
        FixedEach(np.zeros(3, np.int8), np.zeros(2, np.int8), np.zeros(3, np.int8))
    with pytest.raises(SettingsError, match="0 to 32"):
        FixedEach(np.full(3, 40, np.int8), np.zeros(3, np.int8), np.zeros(3, np.int8))
