"""Which numbers sparse fixed point makes zero, and what its tensors take."""

import torch

from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.formats.sparse import Sparse
from narrower.transform.quantizers.quantize import quantize, quantize_straight_through


def test_the_smaller_half_is_zero_and_the_rest_is_rounded() -> None:
    x = torch.tensor([[0.1, -1.6, 0.5, 7.0], [-0.2, 0.4, -3.3, 0.3]])
    # By hand: steps of 1/4 up to 1.75; 7, -3.3, -1.6 and 0.5 are the largest four.
    wanted = torch.tensor([[0.0, -1.5, 0.5, 1.75], [0.0, 0.0, -2.0, 0.0]])
    assert torch.equal(quantize(x, Sparse(4, 2, 50)), wanted)


def test_n_of_m_keeps_the_largest_of_each_group_along_its_axis() -> None:
    chance = torch.Generator().manual_seed(0)
    x = torch.randn(6, 8, 3, 3, generator=chance)
    rounded = quantize(x, Sparse(8, 5, 50, group=4, axis=1))
    plain = quantize(x, FixedPoint(8, 5))
    for o in range(6):
        for i in range(0, 8, 4):
            for place in range(9):
                own = x[o, i : i + 4].flatten(1)[:, place]
                kept = sorted(range(4), key=lambda n, own=own: -abs(float(own[n])))[:2]
                for n in range(4):
                    found = rounded[o, i + n].flatten()[place]
                    assert found == (plain[o, i + n].flatten()[place] if n in kept else 0)


def test_what_does_not_fill_a_group_keeps_as_many() -> None:
    x = torch.tensor([[5.0, 1.0, 2.0, 3.0, 4.0, 6.0, 0.5]])
    number_format = Sparse(8, 3, 50, group=4)
    assert quantize(x, number_format).tolist() == [[5.0, 0.0, 0.0, 3.0, 4.0, 6.0, 0.0]]
    assert number_format.kept((1, 7)) == 4
    assert number_format.kept((5, 6)) == 5 * 4  # two of four, and two of the two that are left


def test_as_many_numbers_are_kept_as_are_counted() -> None:
    chance = torch.Generator().manual_seed(1)
    for number_format in (
        Sparse(8, 6, 30),
        Sparse(8, 6, 99),
        Sparse(8, 6, 75, group=8),
        Sparse(8, 6, 50, 4, 1),
    ):
        for shape in ((16, 24), (5, 7), (3, 10, 3, 3)):
            x = torch.randn(shape, generator=chance).sign() * (0.5 + torch.rand(shape, generator=chance))
            assert int((quantize(x, number_format) != 0).sum()) == number_format.kept(shape)


def test_what_is_kept_and_where_it_stands_is_stored() -> None:
    assert Sparse(4, 2, 75).stored_bits((10, 40)) == 100 * 4 + 400  # a bit for each says whether it is kept
    assert Sparse(4, 2, 50, group=4, axis=1).stored_bits((10, 40)) == 200 * 4 + 200 * 2  # two bits of place
    assert Sparse(4, 2, 50).bits == 4


def test_a_gradient_passes_to_what_is_zero() -> None:
    x = torch.tensor([0.1, 1.0, -0.2, 99.0], requires_grad=True)
    quantize_straight_through(x, Sparse(4, 2, 50)).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [1, 1, 1, 0]  # the last saturates
