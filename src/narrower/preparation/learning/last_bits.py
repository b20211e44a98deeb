"""Which bits of a deployed network can go at the least loss on samples that taught it, one after the other.

Shapes in names: n samples, i what a layer reads, o its outputs.
"""

import heapq
from collections.abc import Iterator
from itertools import count

import numpy as np
from numpy.typing import NDArray

from narrower.preparation.learning.cuts import Cut, cuts_of
from narrower.preparation.learning.deployed import LearnedChain
from narrower.preparation.learning.passed import Passed

RANKED_ON = 1024  # samples that put the cuts in order; all of them decide


def shortened(
    chain: LearnedChain,
    inputs_ni: NDArray[np.float32],
    targets_no: NDArray[np.float32],
    *,
    of_data: bool = True,
) -> Iterator[tuple[Cut, Passed]]:
    """Cuts, and chains with fewer and fewer bits and their mean cross entropy with shares [N, O].

    Each is the one before after the cut that costs the least loss for each effective bit operation that it
    saves. What other cuts cost is looked at again when their turn comes, not after each cut.
    """
    few = Passed(chain, inputs_ni[:RANKED_ON], targets_no[:RANKED_ON])
    turn = count()  # cuts of equal price in the order in which they were found
    queue = [(few.price(cut), next(turn), cut) for cut in cuts_of(chain, of_data=of_data)]
    heapq.heapify(queue)
    every = Passed(chain, inputs_ni, targets_no)
    while queue:
        _, _, cut = heapq.heappop(queue)
        if not cut.is_possible(every.chain):
            continue
        price = every.price(cut)
        if queue and price > queue[0][0]:
            heapq.heappush(queue, (price, next(turn), cut))
            continue
        every = every.after(cut)
        yield cut, every
        for following in cut.following(every.chain):
            heapq.heappush(queue, (every.price(following), next(turn), following))
