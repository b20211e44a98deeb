"""Logic of learned networks: bit for bit what is deployed, in da4ml's interpreter and in Verilator."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from narrower.errors import ExportError
from narrower.export.learned_logic import deliver_learned_verilog, host_inputs, learned_logic, learned_luts
from narrower.export.logic import run_logic
from narrower.preparation.learning.deployed import LearnedChain
from narrower.preparation.learning.freeze import fit_widths, without_idle
from tests.preparation.learning.test_deployed import random_chain, samples

pytest.importorskip("da4ml")


def _wrapping(chain: LearnedChain) -> LearnedChain:
    first, *others = chain.layers
    return LearnedChain((first, *(replace(layer, data_wrap=True) for layer in others)))


@pytest.mark.parametrize("wrap", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_logic_computes_the_whole_outputs(seed: int, wrap: bool) -> None:
    """Also where data saturate or wrap, and where an output is constant."""
    chain = without_idle(random_chain(seed, (4, 8, 8, 2), sparsity=0.7 if seed % 2 else 0.2))
    chain = _wrapping(chain) if wrap else chain
    inputs = samples(seed, 500)
    wanted, _ = chain.whole_outputs(inputs)
    assert (run_logic(learned_logic(chain), host_inputs(chain, inputs)) == wanted).all()


def test_wrapping_costs_no_more_than_saturating() -> None:
    chain = fit_widths(random_chain(3, sparsity=0.2), samples(3))
    assert 0 < learned_luts(_wrapping(chain)) <= learned_luts(chain)


@pytest.mark.skipif(shutil.which("verilator") is None, reason="Verilator is not installed")
def test_verilator_computes_the_same(tmp_path: Path) -> None:
    inputs = samples(1, 300)
    chain = fit_widths(random_chain(1, sparsity=0.3), inputs)
    checks = deliver_learned_verilog(chain, inputs, tmp_path)
    assert [check.runtime for check in checks] == ["Verilator", "da4ml interpreter"]
    assert all(check.passed("exact") and check.elements == 600 for check in checks)


def test_wrapping_and_saturating_differ_above_the_range_only() -> None:
    chain = random_chain(2, sparsity=0.2)
    inputs = samples(2, 2000)
    wrapping = _wrapping(chain)
    over = np.zeros(len(inputs), bool)
    wide = LearnedChain(
        (chain.layers[0], *(replace(x, data_widths=x.data_widths + 16) for x in chain.layers[1:]))
    )
    for layer, (steps, _) in zip(chain.layers[1:], list(wide.passes(inputs))[1:], strict=True):
        over |= (steps > layer.data_limits[1]).any(1)
    same = (wrapping.outputs(inputs) == chain.outputs(inputs)).all(1)
    assert same[~over].all()
    assert not same.all()


def test_a_network_that_reads_nothing_is_refused() -> None:
    chain = random_chain(0)
    idle = LearnedChain(tuple(replace(layer, weights=layer.weights * 0) for layer in chain.layers))
    with pytest.raises(ExportError, match="no input"):
        learned_luts(without_idle(idle))
