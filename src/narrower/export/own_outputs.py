"""What our own evaluation gives for a plan: the outputs that every artefact is compared with."""

import numpy as np
import torch
from numpy.typing import NDArray

from narrower.data.arguments import Arguments, each_argument
from narrower.data.datasets import Part
from narrower.evaluate.batch_size import fitting_batch_size
from narrower.evaluate.evaluator import Evaluator
from narrower.graph.program import Program
from narrower.plan.plan import Plan


def own_outputs(program: Program, plan: Plan, inputs: Arguments) -> NDArray[np.float32]:
    """Our own evaluation of a plan, bit for bit what a search scores."""
    first, *more = each_argument(inputs)
    part = Part(first, torch.zeros(len(first), dtype=torch.long), tuple(more))
    evaluator = Evaluator(program, part, batch_size=fitting_batch_size(program, len(first)))
    outputs = evaluator.outputs(plan, inputs)
    return np.asarray(outputs.numpy())
