"""Chunks of several classes at once give what each class alone gives."""

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
