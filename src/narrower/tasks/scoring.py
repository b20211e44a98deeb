"""Accuracy and loss of a module as it stands."""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from narrower.tasks.datasets import Part

BATCH = 4096


@dataclass(frozen=True, slots=True)
class Score:
    """Quality on one part of the data."""

    correct: int
    samples: int
    loss: float

    @property
    def accuracy(self) -> float:
        return self.correct / self.samples


def score(model: nn.Module, part: Part) -> Score:
    """Score ``model`` in evaluation mode; the mode it had is restored."""
    was_training = model.training
    model.eval()
    correct, loss = 0, 0.0
    with torch.inference_mode():
        for inputs, targets in zip(
            torch.split(part.inputs, BATCH), torch.split(part.targets, BATCH), strict=True
        ):
            outputs = model(inputs)
            correct += int((outputs.argmax(dim=1) == targets).sum())
            loss += float(F.cross_entropy(outputs, targets, reduction="sum"))
    model.train(was_training)
    return Score(correct, len(part), loss / len(part))
