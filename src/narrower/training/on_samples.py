"""What a model, or a stack of several, comes to on samples: losses and the leading metric of the task."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from narrower.data.arguments import copies
from narrower.data.parts import Part
from narrower.data.sizes import SAMPLES_AT_ONCE
from narrower.models.evaluation_mode import evaluation_mode
from narrower.tasks.quality import added
from narrower.tasks.task import Sums, leading
from narrower.training.losses import Losses, repeated


@dataclass(frozen=True, slots=True)
class Figures:
    """What an epoch came to, on samples that taught nothing."""

    epoch: int  # from 1
    step: int
    metric: str  # the leading one of the task
    value: float
    loss: float


class OnSamples:
    """Looks at one model, or with a number of candidates at a stack of them; nothing is changed."""

    def __init__(self, model: nn.Module, losses: Losses, candidates: int | None) -> None:
        self._model, self._losses, self._candidates = model, losses, candidates

    def figures(self, part: Part, epoch: int, step: int) -> Figures:
        """The leading metric and the loss; of several candidates over all of them."""
        metric = leading(part.task)
        sums: dict[str, Sums] = {}
        losses: list[Tensor] = []
        repeats = self._candidates or 1
        with evaluation_mode(self._model), torch.inference_mode():
            for some, outputs in self._outputs(part):
                losses.append(self._plain(outputs, some))
                flat = outputs if self._candidates is None else outputs.flatten(0, 1)
                targets = repeated(some.targets, repeats)
                sums = added([metric], sums, {metric.name: metric.sums(flat, targets)})
        value = metric.value(sums[metric.name], len(part) * repeats)
        loss = float(torch.stack(losses).double().sum()) / len(part) / repeats
        return Figures(epoch, step, metric.name, value, loss)

    def of_each(self, part: Part) -> tuple[Tensor, Tensor]:
        """The loss and the leading metric of each candidate: two tensors [C] in double."""
        metric, count = leading(part.task), self._candidates or 1
        sums: list[dict[str, Sums]] = [{} for _ in range(count)]
        losses = torch.zeros(count, dtype=torch.float64)
        with evaluation_mode(self._model), torch.inference_mode():
            for some, outputs in self._outputs(part):
                losses += self._plain(outputs, some).double().view(-1).cpu()
                every = outputs if self._candidates is not None else outputs[None]
                for number, own in enumerate(every):
                    more = {metric.name: metric.sums(own, some.targets)}
                    sums[number] = added([metric], sums[number], more)
        values = [metric.value(each[metric.name], len(part)) for each in sums]
        return losses / len(part), torch.tensor(values, dtype=torch.float64)

    def losses(self, part: Part) -> Tensor:
        """The loss of each candidate, or of the one model: [C] in double."""
        with evaluation_mode(self._model), torch.inference_mode():
            losses = [self._plain(outputs, some).double() for some, outputs in self._outputs(part)]
        return torch.stack(losses).sum(dim=0).view(-1).cpu() / len(part)

    def _outputs(self, part: Part) -> Iterator[tuple[Part, Tensor]]:
        for start in range(0, len(part), SAMPLES_AT_ONCE):
            some = part.between(start, start + SAMPLES_AT_ONCE)
            yield some, self._model(*copies(some.arguments))

    def _plain(self, outputs: Tensor, some: Part) -> Tensor:
        """The summed loss of samples, of several candidates of each."""
        is_stacked = self._candidates is not None
        return self._losses.of_plain(outputs, some.targets, is_stacked=is_stacked) * len(some)
