"""Bits that are taken away after a training: what each cut costs, and that nothing else changes."""

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from narrower.data.datasets import load_data_set
from narrower.preparation.learning.cuts import cuts_of
from narrower.preparation.learning.deployed import LearnedChain
from narrower.preparation.learning.freeze import fit_widths
from narrower.preparation.learning.last_bits import shortened
from narrower.preparation.learning.learn import learn
from narrower.preparation.learning.passed import Passed
from narrower.preparation.learning.settings import LearnSettings
from tests.preparation.learning.test_deployed import random_chain, samples

SIZES = (5, 6, 4, 3)


def network(seed: int) -> tuple[LearnedChain, np.ndarray, np.ndarray]:
    inputs = samples(seed, 300, SIZES[0])
    chain = fit_widths(random_chain(seed, SIZES, sparsity=0.3), inputs)
    shares = np.random.default_rng(seed).dirichlet(np.ones(SIZES[-1]), 300).astype(np.float32)
    return chain, inputs, shares


def mean_loss(chain: LearnedChain, inputs: np.ndarray, shares: np.ndarray) -> float:
    """By the definition, over whole numbers."""
    whole, fraction = chain.whole_outputs(inputs)
    scores = whole / 2.0**fraction
    scores -= scores.max(1, keepdims=True)
    logarithms = scores - np.log(np.exp(scores).sum(1, keepdims=True))
    return float(-(shares * logarithms).sum(1).mean())


@pytest.mark.parametrize("seed", range(3))
def test_the_price_of_a_cut_is_what_the_whole_network_loses_by_it(seed: int) -> None:
    chain, inputs, shares = network(seed)
    passed = Passed(chain, inputs, shares)
    before = mean_loss(chain, inputs, shares)
    assert passed.loss == pytest.approx(before)
    cuts = cuts_of(chain)
    kinds = {(cut.layer, cut.output is None) for cut in cuts}
    assert len(kinds) == 6
    for cut in cuts:
        after = cut.of(chain)
        assert chain.ebops - after.ebops == cut.saved(chain) > 0
        lost = mean_loss(after, inputs, shares) - before
        assert passed.price(cut) * cut.saved(chain) == pytest.approx(lost, abs=1e-6)


@pytest.mark.parametrize("wraps", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_what_is_carried_from_cut_to_cut_is_what_the_whole_network_computes(seed: int, wraps: bool) -> None:
    """Bit for bit, on samples that saturate too, with the price of every cut that is possible then."""
    chain, inputs, shares = network(seed)
    if wraps:
        first, *others = chain.layers
        chain = LearnedChain((first, *(replace(layer, data_wrap=True) for layer in others)))
    passed, chance = Passed(chain, 3 * inputs, shares), np.random.default_rng(seed)
    for _ in range(40):
        cuts = cuts_of(passed.chain)
        if not cuts:
            break
        cut = cuts[chance.integers(len(cuts))]
        passed = passed.after(cut)
        anew = Passed(passed.chain, 3 * inputs, shares)
        assert passed.loss == anew.loss
        assert np.array_equal(passed.outputs, passed.chain.outputs(3 * inputs))
        assert all(passed.price(each) == anew.price(each) for each in cuts_of(passed.chain)[::5])
        beside = [
            c
            for c in cuts_of(passed.chain)
            if (c.layer, c.position, c.output) == (cut.layer, cut.position, cut.output)
        ]
        assert cut.following(passed.chain) == beside


def test_each_cut_of_a_weight_leaves_it_a_step_away_and_fewer_bits() -> None:
    chain, _, _ = network(0)
    for cut in cuts_of(chain, of_data=False):
        assert cut.output is not None
        before, after = chain.layers[cut.layer], cut.of(chain).layers[cut.layer]
        at = (cut.position, cut.output)
        step = 2.0 ** -int(before.weight_fractions[at])
        assert abs(after.weight_values[at] - before.weight_values[at]) == step
        assert after.weight_widths[at] < before.weight_widths[at]
        others = np.ones(before.weights.shape, bool)
        others[at] = False
        assert (after.weight_values == before.weight_values)[others].all()


def test_bits_go_one_after_the_other_until_none_is_left_to_save() -> None:
    chain, inputs, shares = network(1)
    path = list(islice(shortened(chain, inputs, shares), 400))
    costs = [passed.chain.ebops for _, passed in path]
    assert costs == sorted(costs, reverse=True)
    assert len(set(costs)) == len(costs)
    for _, passed in path[:10]:
        assert passed.loss == pytest.approx(mean_loss(passed.chain, inputs, shares))
    # the first cut is the cheapest of all
    before = mean_loss(chain, inputs, shares)
    prices = [
        (mean_loss(cut.of(chain), inputs, shares) - before) / cut.saved(chain) for cut in cuts_of(chain)
    ]
    assert (path[0][1].loss - before) / (chain.ebops - costs[0]) == pytest.approx(min(prices), abs=1e-6)


def test_a_front_is_nowhere_worse_for_it_and_somewhere_better() -> None:
    jets = load_data_set("jets")
    train, validation = jets.train.first(3000), jets.validation.first(1500)
    fronts = []
    for tolerance in (0.0, 0.01):
        settings = LearnSettings(epochs=30, batch_size=256, cycles=3, soft_share=0.0, last_bits=tolerance)
        learned = learn((16, 6, 5), train, validation, settings)
        fronts.append([(member.cost, member.quality) for member in learned.members])
        for member in learned.members:
            assert member.cost == member.network.ebops
            whole, _ = member.network.whole_outputs(validation.inputs.numpy())
            assert member.quality == int((whole.argmax(1) == validation.targets.numpy()).sum())
    before, after = fronts
    assert all(any(b <= cost and right <= a for b, a in after) for cost, right in before)
    assert set(after) - set(before)
