"""A model from a file that ``torch.export.save`` wrote."""

from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from narrower.errors import ModelError
from narrower.graph.first_gradient import take_first_gradient
from narrower.models.safe_archive import check_archive

ENDING = ".pt2"


class ExportedModel(nn.Module):
    """The program as a module; it computes the same in training as in evaluation, as it was exported."""

    def __init__(self, program: nn.Module) -> None:
        super().__init__()
        self.program = program

    def forward(self, *arguments: Tensor) -> Any:
        return self.program(*arguments)

    def train(self, mode: bool = True) -> Self:
        self.training = mode
        return self


def exported_model(file: str) -> nn.Module:
    """The model of a file, with its weights; no code of the file runs.

    Raises:
        ModelError: it is not there, or made for one number of samples.
        CheckpointError: it is no such file, or could run code.
    """
    path = Path(file).expanduser()
    if not path.is_file():
        raise ModelError(f"{file}: there is no such file")
    check_archive(path)
    take_first_gradient()
    try:
        exported = torch.export.load(path)
        program = exported.module()
    except Exception as error:
        raise ModelError(f"{file}: {str(error).splitlines()[0] if str(error) else error!r}") from error
    if not exported.range_constraints:
        raise ModelError(
            f"{file}: was exported for one number of samples; torch.export.export(model, arguments, "
            "dynamic_shapes=({0: torch.export.Dim('batch')},)) leaves it open"
        )
    return ExportedModel(program)
