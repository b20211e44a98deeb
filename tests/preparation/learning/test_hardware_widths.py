"""Widths as hardware has them: bounded, of a list, shared."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from narrower.data.datasets import DataSet
from narrower.preparation.learning.above_zero import above_zero
from narrower.preparation.learning.deployed import LearnedChain
from narrower.preparation.learning.freeze import fit_widths
from narrower.preparation.learning.hardware_widths import rounded_up, with_hardware_widths
from narrower.preparation.learning.learn import learn
from narrower.preparation.learning.plan_form import chain_of, plan_of, state_of
from narrower.preparation.learning.settings import LearnSettings
from tests.preparation.learning.test_deployed import random_chain, samples

SHORT = LearnSettings(epochs=12, batch_size=256, cycles=2, soft_share=0.0, last_factor=3e-3)


@pytest.mark.parametrize("granularity", ["weight", "channel", "tensor"])
def test_every_member_of_a_training_has_the_widths_that_are_allowed(jets: DataSet, granularity: str) -> None:
    settings = replace(
        SHORT,
        weight_granularity=granularity,  # type: ignore[arg-type]
        data_granularity="tensor" if granularity == "tensor" else "element",
        max_width=8,
        allowed=(0, 2, 4, 8),
    )
    learned = learn((16, 6, 5), jets.train.first(2000), jets.validation.first(1000), settings)
    assert learned.members
    for member in learned.members:
        plan = plan_of(member.network, ("a", "b"), granularity, settings.allowed)  # type: ignore[arg-type]
        for name, layer in zip("ab", member.network.layers, strict=True):
            formats = plan.layer(name)
            assert set(np.unique(formats.data.widths)) <= {0, 2, 4, 8}  # type: ignore[attr-defined]
            assert set(np.unique(formats.weight.widths)) <= {0, 2, 4, 8}  # type: ignore[attr-defined]
            widths = formats.weight.widths  # type: ignore[attr-defined]
            if granularity == "channel":
                assert (widths == widths[:, :1]).all()
            if granularity == "tensor":
                assert len(np.unique(widths)) == 1
                assert len(np.unique(layer.data_widths)) == 1
        again = chain_of(state_of(member.network, "ab"), plan, "ab")
        assert again.ebops == member.cost
        inputs = jets.test.inputs[:500].numpy()
        assert (again.outputs(inputs) == member.network.outputs(inputs)).all()


def test_data_that_are_too_wide_lose_their_low_bits() -> None:
    inputs = samples(0, 500)
    chain = fit_widths(random_chain(0), inputs)
    assert chain.widest_data.max() > 4
    narrow = with_hardware_widths(chain, inputs, LearnSettings(max_width=4))
    assert narrow.widest_data.max() == 4
    for before, after in zip(chain.layers[:1], narrow.layers[:1], strict=True):
        lost = np.maximum(before.data_widths - 4, 0)
        assert (
            after.data_fractions >= before.data_fractions - lost - 1
        ).all()  # rounding up may need one more
        assert (after.data_fractions <= before.data_fractions - lost).all()


def test_widths_are_rounded_up_and_nothing_stays_nothing() -> None:
    assert rounded_up(np.array([0, 1, 2, 3, 8]), [4, 8, 2]).tolist() == [0, 2, 2, 4, 8]


@pytest.mark.parametrize("seed", range(4))
def test_outputs_raised_above_zero_are_never_negative_and_rank_alike(seed: int) -> None:
    inputs = samples(seed, 400)
    chain = fit_widths(random_chain(seed), inputs)
    raised = above_zero(chain)
    wild = 50 * torch.randn(400, inputs.shape[1], generator=torch.Generator().manual_seed(seed)).numpy()
    for some in (inputs, wild.astype(np.float32)):
        before, after = chain.outputs(some).astype(np.float64), raised.outputs(some).astype(np.float64)
        assert after.min() >= 0
        shift = after - before
        assert (shift == shift[0, 0]).all()
    assert above_zero(raised).layers[-1] is raised.layers[-1]
    assert isinstance(raised, LearnedChain)
