"""After a training: what its members become when their last bits are taken away."""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from narrower.data.parts import Part
from narrower.preparation.learning.deployed import LearnedChain
from narrower.preparation.learning.last_bits import shortened
from narrower.preparation.learning.members import Member
from narrower.preparation.learning.passed import Passed
from narrower.preparation.learning.scoring import hits_of
from narrower.preparation.learning.settings import LearnSettings

MOST_SAMPLES = 4096  # of the training part, that decide which bits go
LEAST_SHARE = 0.9  # of the cost of the next cheaper member; below, that one is cut itself


def cut_members(
    members: Sequence[Member[LearnedChain]],
    train: Part,
    targets_no: Tensor,
    validation: Part,
    settings: LearnSettings,
    cost_of: Callable[[LearnedChain], float],
) -> Iterator[tuple[Member[LearnedChain], LearnedChain, int]]:
    """From the cheapest to the best, each member with the chains that it becomes by one cut after the other.

    With each, how many samples of the validation part it gets right. It ends where more than
    ``settings.last_bits`` of the training samples would lose their class, or where the next cheaper member is
    dearer.
    """
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(settings.seed))[:MOST_SAMPLES]
    inputs, targets = train.inputs[order].numpy(), train.targets[order].numpy()
    shares = targets_no[order].numpy()
    of_data = settings.data_granularity == "element" and not settings.allowed
    for position, member in enumerate(members):
        cheaper = members[position - 1].cost if position else 0
        least = hits_of(member.network, inputs, targets) - settings.last_bits * len(targets)
        judged = Passed(member.network, validation.inputs.numpy())
        for cut, passed in shortened(member.network, inputs, shares, of_data=of_data):
            if cost_of(passed.chain) < LEAST_SHARE * cheaper or passed.hits(targets) < least:
                break
            judged = judged.after(cut)
            yield member, passed.chain, judged.hits(validation.targets.numpy())
