"""Run every operator of the zoos in each family of formats on a device that PyTorch only makes believe.

Tensors of it hold no numbers and mix with no others: what was left on the CPU raises. Prints the names of the
models that ran.
"""

import sys
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils import backend_registration

sys.path.insert(0, str(Path(__file__).parents[3]))

from narrower.evaluate.compile_steps import compile_steps
from narrower.evaluate.stacked_plans import StackedPlans
from narrower.evaluate.steps import Steps
from narrower.evaluate.value_cache import ValueCache
from narrower.graph.lower import lower
from narrower.graph.trace import trace
from narrower.plan.formats.catalogue import FAMILIES
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.formats.fixed_channels import FixedChannels
from narrower.plan.formats.text import parse_format
from tests import products_zoo, zoo

SKIPPED = 77
DEVICE = "elsewhere:0"


def empty(like: Tensor) -> Tensor:
    return torch.empty(like.shape, dtype=like.dtype, device=DEVICE)


def run(here: Steps, inputs: Tensor) -> None:
    constants = {index: empty(value) for index, value in here.constants.items()}
    steps = replace(here, constants=constants).on(DEVICE)
    given = [empty(inputs)]
    for family in FAMILIES:
        one = parse_format(next(iter(family.examples)))
        if isinstance(one, FixedChannels):
            continue  # its factors are sent there, which this device knows nothing of
        formats = [one] * len(steps.slots)
        values = dict(steps.constants)
        values[steps.batch_inputs[0]] = empty(inputs)
        for index in range(len(steps.steps)):
            if index not in values:
                values[index] = steps.run(index, values, formats)
        assert values[steps.output].device == torch.device(DEVICE)
    plans = [(FixedPoint(width, 2),) * len(steps.slots) for width in (4, 8)]
    for output in StackedPlans(steps, ValueCache(0)).outputs(given, plans):
        assert output.device == torch.device(DEVICE)


def main() -> int:
    if not hasattr(backend_registration, "_setup_privateuseone_for_python_backend"):
        return SKIPPED
    programs = {}
    for models in (zoo, products_zoo):
        for name in models.MODELS:
            model, inputs = models.build(name)
            program = lower(trace(model, inputs[:3], name))
            if program.untraced is None:
                programs[name] = compile_steps(program), inputs
    backend_registration._setup_privateuseone_for_python_backend("elsewhere")
    with FakeTensorMode():
        for name, (steps, inputs) in programs.items():
            run(steps, inputs)
            sys.stdout.write(f"{name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
