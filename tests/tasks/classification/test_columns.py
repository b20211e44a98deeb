"""Chunks of several classes at once give what each class alone gives."""

import math

import pytest
import torch

from narrower.tasks.classification.columns import ClassColumns


@pytest.mark.parametrize("loss", [False, True])
@pytest.mark.parametrize("kinds", [(0, 1, 2, 2, 4), (3, 0), (4, 4, 1)])
def test_all_chunks_together_are_the_sum_of_the_chunks(kinds: tuple[int, ...], loss: bool) -> None:
    chance = torch.Generator().manual_seed(len(kinds))
    outputs = torch.randint(-3, 3, (2, len(kinds), 3, 5, 16), generator=chance).float()  # many are equal
    outputs[:, 0, :, :, 10:] = torch.nan  # columns without a sample
    columns = ClassColumns()
    together = columns.sums(outputs, kinds, loss=loss)
    alone = [
        columns.sums(outputs[:, chunk : chunk + 1], (kind,), loss=loss) for chunk, kind in enumerate(kinds)
    ]
    for found, parts in zip(together, zip(*alone, strict=True), strict=True):
        assert torch.equal(found, torch.stack(parts).sum(dim=0).to(found.dtype))


def test_the_first_of_equal_scores_is_the_answer() -> None:
    outputs = torch.zeros(1, 3, 1, 3, 16)
    (right,) = ClassColumns().sums(outputs, (0, 1, 2), loss=False)
    assert right.tolist() == [[16]]


def test_every_sample_lies_once_in_a_chunk_of_its_class() -> None:
    """5, 40 and 1 samples of three classes, shuffled: 48 columns are the fewest that are a multiple of 16."""
    targets = torch.tensor([0] * 5 + [1] * 40 + [2])[torch.randperm(46, generator=torch.manual_seed(1))]
    found = ClassColumns().arrange(targets)
    assert (found.width, found.kinds) == (48, (0, 1, 2))
    rows = found.order.view(-1, found.width)
    for kind, row in zip(found.kinds, rows, strict=True):
        assert row[row >= 0].tolist() == [n for n, target in enumerate(targets.tolist()) if target == kind]


def test_a_single_logit_is_right_for_class_1_where_it_is_above_0() -> None:
    logits = torch.tensor([-2.0, -0.5, 0.0, 0.5, 3.0, torch.nan]).view(1, 1, 1, 1, 6)
    columns = ClassColumns()
    assert columns.contributions(logits, 1).flatten().tolist() == [False, False, False, True, True, False]
    assert columns.contributions(logits, 0).flatten().tolist()[:5] == [True, True, True, False, False]


def test_the_loss_of_each_candidate_is_its_mean_cross_entropy() -> None:
    generator = torch.manual_seed(3)
    outputs, targets = torch.randn(4, 9, 3, generator=generator), torch.randint(3, (9,), generator=generator)
    by_hand = [
        sum(
            math.log(sum(map(math.exp, row))) - row[target]
            for row, target in zip(each, targets.tolist(), strict=True)
        )
        / 9
        for each in outputs.double().tolist()
    ]
    assert ClassColumns().losses(outputs, targets).tolist() == pytest.approx(by_hand, rel=1e-5)
