"""Right and wrong, and cross entropy, of samples that lie in columns sorted by class.

A sample is right when the score of its class is above those of all earlier classes and not below those of
later ones: what ``argmax`` says, without its cost.
"""

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from narrower.tasks.classification.cross_entropy import STEPS_OF_ONE, loss_steps
from narrower.tasks.columns import Arrangement

LARGEST_CHUNK = 512  # samples in one product


class ClassColumns:
    """All samples of a chunk are of one class."""

    def arrange(self, targets: Tensor) -> Arrangement:
        """Samples by class, each class in chunks of the same width."""
        found, counts = torch.unique(targets, return_counts=True)
        most = int(counts.max())
        pieces = -(-most // LARGEST_CHUNK)
        width = -(-most // (16 * pieces)) * 16
        order, classes = [], []
        for label, count in zip(found.tolist(), counts.tolist(), strict=True):
            chunks = -(-count // width)
            padded = torch.full((chunks * width,), -1)
            padded[:count] = torch.nonzero(targets == label).flatten()
            order.append(padded)
            classes.extend([label] * chunks)
        return Arrangement(torch.cat(order), tuple(classes), width)

    def contributions(self, outputs: Tensor, kind: int) -> Tensor:
        """Whether each sample is right."""
        outputs = _with_both_scores(outputs)
        own = outputs[:, :, :, kind]
        later = outputs[:, :, :, kind + 1 :]
        if kind == 0:
            return own >= _largest(later if later.shape[3] else outputs)
        right = own > _largest(outputs[:, :, :, :kind])
        if later.shape[3]:
            right.logical_and_(own >= _largest(later))
        return right

    def sums(self, outputs: Tensor, kinds: Sequence[int], *, loss: bool) -> tuple[Tensor, ...]:
        """How many samples are right, and with ``loss`` the sum of the cross entropies."""
        outputs = _with_both_scores(outputs)
        if len(kinds) == 1:
            own, is_right = outputs[:, :, :, kinds[0]], self.contributions(outputs, kinds[0])
        else:
            own, is_right = _own_and_right(outputs, tuple(kinds))
        right = is_right.view(torch.uint8).sum((1, 3), dtype=torch.int32)
        if not loss:
            return (right,)
        steps = loss_steps(outputs, own, dim=3)
        return right, steps.nansum((1, 3), dtype=torch.float64).div_(STEPS_OF_ONE)

    def losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean cross entropy of each candidate; classes outside, which is faster for few of them."""
        logits_ocn = outputs.permute(2, 0, 1).contiguous()
        right_cn = F.log_softmax(logits_ocn, dim=0).gather(0, targets.expand(1, *logits_ocn.shape[1:]))[0]
        return -right_cn.mean(dim=1)


def _with_both_scores(outputs: Tensor) -> Tensor:
    """Scores of classes in dimension 3; a single logit is the score of class 1 beside a score of 0."""
    if outputs.shape[3] > 1:
        return outputs
    return torch.cat([torch.where(outputs.isnan(), outputs, 0.0), outputs], dim=3)


def _own_and_right(outputs: Tensor, kinds: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """The scores of the samples' classes, and whether they are right, for chunks of several classes.

    Fewer but larger steps than class by class: better where samples are few.
    """
    index, earlier, later = _masks(kinds, outputs.shape[3])
    formats, chunks, options, _, width = outputs.shape
    own = outputs.gather(3, index.expand(formats, chunks, options, 1, width)).squeeze(3)
    right = own > (outputs + earlier).amax(3)
    return own, right.logical_and_(own >= (outputs + later).amax(3))


@lru_cache(maxsize=64)
def _masks(kinds: tuple[int, ...], classes: int) -> tuple[Tensor, Tensor, Tensor]:
    """Of each chunk its class, and what leaves only the classes before and after it; [1, chunks, 1, ?, 1]."""
    own = torch.tensor(kinds).view(1, -1, 1, 1, 1)
    all_classes = torch.arange(classes).view(1, 1, 1, -1, 1)
    zero, nothing = torch.tensor(0.0), torch.tensor(-torch.inf)
    earlier = torch.where(all_classes < own, zero, nothing)
    return own, earlier, torch.where(all_classes > own, zero, nothing)


def _largest(scores: Tensor) -> Tensor:
    """Largest of the classes in dimension 3."""
    most = scores[:, :, :, 0]
    if scores.shape[3] == 1:
        return most
    most = torch.maximum(most, scores[:, :, :, 1])
    for other in range(2, scores.shape[3]):
        torch.maximum(most, scores[:, :, :, other], out=most)
    return most
